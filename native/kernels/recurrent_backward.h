// The backward pass of every recurrent kernel: backpropagation through time, last step first. Who computes what:
// recurrent_split.h.
#pragma once

#include "recurrent_cell.h"

namespace rnnkit::RNNKIT_FAMILY {

template <Cell C>
class BackwardPass {
    using T = typename C::Element;

public:
    BackwardPass(const RecurrentProblem& problem, const RecurrentBackward<T>* call, void* scratch)
        : problem_(problem),
          split_(split_for(problem, C::gates, C::units_independent(problem), sizeof(T))),
          layout_(SumLayout::of(problem, C::gates, C::bias_width(problem))),
          call_(call) {
        Arena arena(scratch);
        const int64_t H = problem_.hidden, S = problem_.state, B = problem_.batch, threads = split_.threads;
        order_.allocate(arena, B);
        counts_ = arena.allocate<int64_t>(problem_.lengths != nullptr ? problem_.time + 1 : 0);
        sorted_ = arena.allocate<int64_t>(B);
        rows_.allocate(arena, B);
        zeros_ = arena.allocate<T>(longest_state());
        carry_h_ = arena.allocate<T>(B * S), carry_c_ = arena.allocate<T>(B * H);
        masked_ = arena.allocate<T>(problem_.masked ? B * S : 0);
        masked_rows_ = arena.allocate<T*>(problem_.masked ? B : 0);
        left_h_ = arena.allocate<const T*>(B);
        buffers_ = arena.allocate<StepBuffer<T>>(row_groups());
        for (int i = 0; i < row_groups(); ++i) {
            StepBuffer<T> buffer;
            buffer.allocate(arena, split_.by_units ? 2 * B : row_block, C::gate_grads_width(problem_));
            if (scratch != nullptr) buffers_[i] = buffer;
        }
        outer_ = arena.allocate<T>(threads * outer_scratch<T>);
        packed_w_ = arena.allocate<T>(Panels<T>(problem_.input).padded() * wide());
        packed_u_ = arena.allocate<T>(state_start(state_parts()) * C::dh_depth(problem_));
        bias_total_ = arena.allocate<T>(C::bias_width(problem_));
        sums_ = arena.allocate<T>(split_.by_units ? 0 : threads * layout_.total);
        cell_.allocate(arena, problem_);
        bytes_ = arena.used();
    }
    size_t bytes() const { return bytes_; }

    void run() {
        order_.sort(problem_.lengths, problem_.time, row_groups(), counts_, sorted_);
        fill(zeros_, T(0), longest_state());
        parallel(has_few_weights() ? 1 : split_.threads, [&](int thread, int count) { pack(thread, count); });
        cell_.prepare_backward(problem_, call_->weights);
        if (split_.by_units)
            run_by_units();
        else
            run_by_rows();
        if (wants_bias()) C::write_biases(problem_, bias_total_, call_->db);
    }

private:
    int row_groups() const { return split_.by_units ? 1 : split_.threads; }
    int64_t wide() const { return C::gates * problem_.hidden; }
    int64_t longest_state() const { return problem_.state > problem_.hidden ? problem_.state : problem_.hidden; }
    bool has_few_weights() const { return wide() * (problem_.input + problem_.state) < serial_weights; }

    // With the gates along the vectors a narrow input wastes no lanes; dW is then summed as [I, G·H].
    bool transposed() const {
        return !split_.by_units &&
               problem_.input * Panels<T>(wide()).vectors <= wide() * Panels<T>(problem_.input).vectors;
    }
    // With `normed` the cell itself sums the biases.
    bool wants_bias() const { return !problem_.normed && (call_->db[0] != nullptr || call_->db[1] != nullptr); }
    bool wants_weights() const {
        return call_->dw != nullptr || call_->du != nullptr || wants_bias() || call_->dprojection != nullptr;
    }
    // Whether anything needs dh of the state before this step.
    bool wants_dh(int64_t step) const { return step > 0 || call_->dh0 != nullptr || call_->dreset_h != nullptr; }

    // Where thread `thread` sums: in its own block of scratch. One thread alone sums where the totals go.
    T* sum_of(int thread, SumBlock block) const {
        T* const total = split_.threads == 1 ? total_of(block) : nullptr;
        return total != nullptr ? total : sums_ + thread * layout_.total + layout_.start(block);
    }
    // Where the sum over all threads goes, as it is; null where it is not wanted, or changed on the way.
    T* total_of(SumBlock block) const {
        switch (block) {
            case SumBlock::dw:
                return transposed() ? nullptr : call_->dw;
            case SumBlock::du:
                return call_->du;
            case SumBlock::dbias:
                return wants_bias() ? bias_total_ : nullptr;
            case SumBlock::dprojection:
                return call_->dprojection;
            case SumBlock::dpeephole:
                return call_->dpeephole;
            case SumBlock::dgain_x:
                return call_->dgain_x;
            case SumBlock::dgain_h:
                return call_->dgain_h;
            case SumBlock::dgain_c:
                return call_->dgain_c;
            case SumBlock::dshift_c:
                return call_->dshift_c;
            case SumBlock::dshift_x:
            case SumBlock::dshift_h:
                return nullptr;  // the gradients of both biases may come from one of them
        }
        return nullptr;
    }
    // What thread `thread` of a split by rows sums.
    WeightGrads<T> thread_grads(int thread) const {
        const auto place = [&](SumBlock block, bool wanted) { return wanted ? sum_of(thread, block) : nullptr; };
        WeightGrads<T> grads;
        grads.dw = place(SumBlock::dw, call_->dw != nullptr), grads.du = place(SumBlock::du, call_->du != nullptr);
        grads.dbias = place(SumBlock::dbias, wants_bias());
        grads.dprojection = place(SumBlock::dprojection, call_->dprojection != nullptr);
        grads.dpeephole = place(SumBlock::dpeephole, call_->dpeephole != nullptr);
        grads.dgain_x = place(SumBlock::dgain_x, problem_.normed);
        grads.dshift_x = place(SumBlock::dshift_x, problem_.normed);
        grads.dgain_h = place(SumBlock::dgain_h, problem_.normed);
        grads.dshift_h = place(SumBlock::dshift_h, problem_.normed);
        grads.dgain_c = place(SumBlock::dgain_c, problem_.normed);
        grads.dshift_c = place(SumBlock::dshift_c, problem_.normed);
        return grads;
    }

    // U for dh, and W for dx where it is wanted: the panels number `thread`, `thread` + `count`, ...
    void pack(int thread, int count) const {
        const int64_t S = problem_.state, I = problem_.input, depth = C::dh_depth(problem_);
        int64_t number = 0;
        for (int i = 0; i < state_parts(); ++i) {
            const Panels<T> states = state_panels(i);
            const Matrix<T> u{call_->weights.u + share_begin(S, state_parts(), i), S, false};
            T* const packed = packed_u_ + state_start(i) * depth;
            for (int64_t p = 0; p < states.count; ++p)
                if (number++ % count == thread)
                    pack_panel(states, p, u, depth, packed + states.start(p) * lanes<T> * depth);
        }
        if (call_->dx.data == nullptr) return;
        const Panels<T> inputs(I);
        for (int64_t p = 0; p < inputs.count; ++p)
            if (number++ % count == thread)
                C::pack_w(problem_, call_->weights, inputs, p, packed_w_ + inputs.start(p) * lanes<T> * wide());
    }
    // The parts of the state that threads compute dh of.
    int state_parts() const { return split_.by_units ? split_.threads : 1; }
    Panels<T> state_panels(int i) const {
        return Panels<T>(share_begin(problem_.state, state_parts(), i + 1) -
                         share_begin(problem_.state, state_parts(), i));
    }
    int64_t state_start(int i) const {
        int64_t start = 0;
        for (int j = 0; j < i; ++j) start += state_panels(j).padded();
        return start;
    }

    void run_by_units() {
        const int threads = split_.threads;
        BackwardRows<T> rows = rows_.from(0);
        StepBuffer<T>& buffer = buffers_[0];
        buffer.begin();
        start(rows, problem_.batch);
        // Each thread sums the weights of its own units, straight into the caller's arrays.
        const auto sum_buffer = [&](int thread) {
            propagate_x(buffer, buffer.count(), thread, threads);  // W is read once for all buffered steps
            if (!wants_weights()) return;
            WeightGrads<T> grads{};
            grads.dw = call_->dw, grads.du = call_->du;
            WeightSum<T> list[max_sums];
            const int count = C::weight_sums(problem_, grads, units_of(problem_, thread, threads), false, list);
            buffer.sum(list, count, outer_ + thread * outer_scratch<T>);
            if (!wants_bias()) return;
            const int64_t size = C::bias_width(problem_), begin = share_begin(size, threads, thread);
            buffer.sum_rows(begin, share_begin(size, threads, thread + 1) - begin, bias_total_ + begin);
        };
        if (call_->dpeephole != nullptr) fill(call_->dpeephole, T(0), 3 * problem_.hidden);
        for (int64_t step = order_.longest - 1; step >= 0; --step) {
            if (count_rows(rows, step, problem_.batch) && buffer.is_full_for(rows.count)) {
                parallel(threads, [&](int thread, int) { sum_buffer(thread); });
                buffer.clear();
            }
            bind_step(rows, step, buffer);
            WeightGrads<T> grads{};
            grads.dpeephole = call_->dpeephole;
            parallel(threads, [&](int thread, int) {
                cell_.backward_step(problem_, *call_, rows, units_of(problem_, thread, threads), grads);
            });
            if (wants_dh(step)) parallel(threads, [&](int thread, int) { propagate_h(rows, thread); });
            advance(rows);
        }
        parallel(threads, [&](int thread, int) { sum_buffer(thread); });
        finish(rows, problem_.batch);
    }

    void run_by_rows() {
        parallel(split_.threads, [&](int thread, int) {
            StepBuffer<T>& buffer = buffers_[thread];
            buffer.begin();
            const WeightGrads<T> grads = thread_grads(thread);
            const Units all{0, problem_.hidden};
            WeightSum<T> list[max_sums];
            const int count = C::weight_sums(problem_, grads, all, transposed(), list);
            clear_cell_sums(thread, grads);
            const auto sum_buffer = [&] {
                buffer.sum(list, count, outer_ + thread * outer_scratch<T>);
                if (grads.dbias != nullptr) buffer.sum_rows(0, C::bias_width(problem_), grads.dbias);
                buffer.clear();
            };
            const RowBlocks blocks(order_.begin(thread), order_.begin(thread + 1));
            for (int64_t block = 0; block < blocks.count; ++block) {
                const int64_t end = blocks.begin(block + 1);
                BackwardRows<T> rows = rows_.from(blocks.begin(block));
                start(rows, end);
                for (int64_t step = order_.longest - 1; step >= 0; --step) {
                    if (!count_rows(rows, step, end)) continue;
                    if (buffer.is_full_for(rows.count)) sum_buffer();
                    bind_step(rows, step, buffer);
                    cell_.backward_step(problem_, *call_, rows, all, grads);
                    propagate_x(buffer, rows.count, 0, 1);  // while the gate_grads are in the cache
                    if (wants_dh(step)) propagate_h(rows, 0);
                    advance(rows);
                }
                finish(rows, end);
            }
            if (wants_weights()) sum_buffer();
        });
        parallel(has_few_weights() ? 1 : split_.threads, [&](int thread, int count) { add_up(thread, count); });
    }

    // The sums that the cell adds to begin at zero.
    void clear_cell_sums(int thread, const WeightGrads<T>& grads) const {
        if (grads.dpeephole != nullptr) fill(grads.dpeephole, T(0), layout_.size(SumBlock::dpeephole));
        constexpr SumBlock norm_blocks[] = {SumBlock::dgain_x,  SumBlock::dshift_x, SumBlock::dgain_h,
                                            SumBlock::dshift_h, SumBlock::dgain_c,  SumBlock::dshift_c};
        for (SumBlock block : norm_blocks)
            if (problem_.normed) fill(sum_of(thread, block), T(0), layout_.size(block));
    }

    // The threads' sums, added in the order of the threads. Part `part` of `parts` of each.
    void add_up(int part, int parts) const {
        struct {
            SumBlock block;
            T* to;
        } all[sum_blocks];
        for (int i = 0; i < sum_blocks; ++i) {
            const auto block = static_cast<SumBlock>(i);
            all[i] = {block, total_of(block)};
        }
        if (problem_.normed) {
            all[static_cast<int>(SumBlock::dshift_x)].to = call_->db[0];
            all[static_cast<int>(SumBlock::dshift_h)] = {C::same_bias_grads ? SumBlock::dshift_x : SumBlock::dshift_h,
                                                         call_->db[1]};
        }
        for (const auto& sum : all) {
            if (sum.to == nullptr || sum.to == sum_of(0, sum.block)) continue;
            const int64_t size = layout_.size(sum.block), begin = share_begin(size, parts, part);
            const int64_t n = share_begin(size, parts, part + 1) - begin;
            copy(sum.to + begin, sum_of(0, sum.block) + begin, n);
            for (int thread = 1; thread < split_.threads; ++thread)
                add(sum.to + begin, sum_of(thread, sum.block) + begin, n);
        }
        if (call_->dw == nullptr || !transposed()) return;
        const int64_t I = problem_.input, columns = wide();
        const int64_t begin = share_begin(columns, parts, part), end = share_begin(columns, parts, part + 1);
        for (int64_t i = 0; i < I; ++i)
            for (int64_t j = begin; j < end; ++j) {
                T total = sum_of(0, SumBlock::dw)[i * columns + j];
                for (int thread = 1; thread < split_.threads; ++thread)
                    total += sum_of(thread, SumBlock::dw)[i * columns + j];
                call_->dw[j * I + i] = total;
            }
    }

    // The gradients of the last states, and zeros where gradients are added to or where no step writes.
    void start(BackwardRows<T>& rows, int64_t end) {
        const int64_t S = problem_.state, H = problem_.hidden;
        for (int64_t p = rows.position; p < end; ++p) {
            const int64_t r = p - rows.position, b = order_.row[p];
            rows.batch[r] = b;
            rows.carry_h[r] = carry_h_ + p * S, rows.carry_c[r] = carry_c_ + p * H;
            copy_or_clear(rows.carry_h[r], call_->dhn != nullptr ? call_->dhn + b * S : nullptr, S);
            copy_or_clear(rows.carry_c[r], call_->dcn != nullptr ? call_->dcn + b * H : nullptr, H);
            if (problem_.masked) masked_rows_[p] = masked_ + p * S;
            T *const states[] = {call_->dh0, call_->dreset_h}, *const cells[] = {call_->dc0, call_->dreset_c};
            for (T* to : states)
                if (to != nullptr) fill(to + b * S, T(0), S);
            for (T* to : cells)
                if (to != nullptr) fill(to + b * H, T(0), H);
            for (int64_t t = order_.length[p]; call_->dx.data != nullptr && t < problem_.time; ++t)
                fill(at(call_->dx, b, t), T(0), problem_.input);
        }
    }
    static void copy_or_clear(T* to, const T* from, int64_t n) {
        if (from != nullptr)
            copy(to, from, n);
        else
            fill(to, T(0), n);
    }

    // Counts the rows up to position `end` that run at this step: they are sorted, longest first.
    bool count_rows(BackwardRows<T>& rows, int64_t step, int64_t end) const {
        while (rows.position + rows.count < end && order_.length[rows.position + rows.count] > step) ++rows.count;
        return rows.count > 0;
    }

    // Finds the data of the rows that run at this step.
    void bind_step(BackwardRows<T>& rows, int64_t step, StepBuffer<T>& buffer) {
        const int64_t c_offset = C::c_offset(problem_), recurrent = C::recurrent_offset(problem_), S = problem_.state;
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t p = rows.position + r, b = rows.batch[r], t = time_of(problem_, order_.length[p], step);
            const int64_t before = problem_.reverse ? t + 1 : t - 1;
            rows.time[r] = t;
            const bool reset = resets_at(problem_, b, t), first = reset || step == 0;
            const T *const h = reset ? call_->reset_h : call_->h0, *const c = reset ? call_->reset_c : call_->c0;
            const T* state = h != nullptr ? h + b * S : nullptr;
            if (!first) state = at(call_->out, b, before);
            rows.h[r] = state != nullptr ? state : zeros_;
            rows.c[r] = c != nullptr ? c + b * problem_.hidden : zeros_;
            if (!first && c_offset >= 0) rows.c[r] = at(call_->saved, b, before) + c_offset;
            rows.out[r] = at(call_->out, b, t);
            rows.saved[r] = call_->saved.data != nullptr ? at(call_->saved, b, t) : nullptr;
            rows.dout[r] = call_->dout.data != nullptr ? at(call_->dout, b, t) : nullptr;
            rows.dcells[r] = call_->dcells.data != nullptr ? at(call_->dcells, b, t) : nullptr;
            T* const dx = call_->dx.data != nullptr ? at(call_->dx, b, t) : nullptr;
            const T* const x = call_->dw != nullptr ? at(call_->x, b, t) : nullptr;
            T* const gate_grads = buffer.add(x, state, recurrent, dx, C::dx_offset(problem_));
            if (recurrent >= 0)
                for (int64_t i = 0; i < S; ++i)
                    gate_grads[recurrent + i] = problem_.masked ? rows.h[r][i] * call_->mask[b * S + i] : rows.h[r][i];
            rows.gate_grads[r] = gate_grads;
            left_h_[p] = gate_grads + C::dh_offset(problem_);
        }
    }

    // dx of the last `n` buffered rows, the columns of thread `thread`.
    void propagate_x(const StepBuffer<T>& buffer, int64_t n, int thread, int threads) const {
        if (call_->dx.data == nullptr) return;
        const Panels<T> all(problem_.input);
        buffer.propagate(n, all, share_begin(all.count, threads, thread), share_begin(all.count, threads, thread + 1),
                         packed_w_, wide());
    }

    // carry_h (+)= Uᵀ · gate_grads, through the mask where there is one; the part of the state of thread `thread`.
    void propagate_h(const BackwardRows<T>& rows, int thread) const {
        const int64_t depth = C::dh_depth(problem_), S = problem_.state;
        const Segment<T> segment[] = {{left_h_ + rows.position, packed_u_ + state_start(thread) * depth, depth}};
        const bool adds = C::adds_to_carry(problem_);
        T* const* const to = problem_.masked ? masked_rows_ + rows.position : rows.carry_h;
        multiply_rows(state_panels(thread), rows.count, segment,
                      {to, share_begin(S, state_parts(), thread), nullptr, adds && !problem_.masked});
        for (int64_t r = 0; problem_.masked && r < rows.count; ++r)
            for (int64_t i = 0; i < S; ++i)
                rows.carry_h[r][i] = (adds ? rows.carry_h[r][i] : T(0)) + call_->mask[rows.batch[r] * S + i] * to[r][i];
    }

    // At a step that began with a reset, the gradient belongs to the state after the reset, not to the step before.
    void advance(const BackwardRows<T>& rows) const {
        if (problem_.resets.data == nullptr) return;
        for (int64_t r = 0; r < rows.count; ++r) {
            if (!resets_at(problem_, rows.batch[r], rows.time[r])) continue;
            add_initial_grad(rows, r, call_->dreset_h, call_->dreset_c);
            fill(rows.carry_h[r], T(0), problem_.state);
            fill(rows.carry_c[r], T(0), problem_.hidden);
        }
    }
    void add_initial_grad(const BackwardRows<T>& rows, int64_t r, T* dh, T* dc) const {
        const int64_t b = rows.batch[r];
        if (dh != nullptr) add(dh + b * problem_.state, rows.carry_h[r], problem_.state);
        if (dc != nullptr) add(dc + b * problem_.hidden, rows.carry_c[r], problem_.hidden);
    }
    void finish(const BackwardRows<T>& rows, int64_t end) const {
        for (int64_t r = 0; r < end - rows.position; ++r) add_initial_grad(rows, r, call_->dh0, call_->dc0);
    }

    const RecurrentProblem& problem_;
    Split split_;
    SumLayout layout_;
    const RecurrentBackward<T>* call_;
    C cell_;
    RowOrder order_;
    BackwardRows<T> rows_;
    int64_t *counts_, *sorted_;
    T *zeros_, *carry_h_, *carry_c_, *masked_, *outer_, *packed_w_, *packed_u_, *bias_total_, *sums_;
    T** masked_rows_;
    const T** left_h_;
    StepBuffer<T>* buffers_;
    size_t bytes_;
};

}  // namespace rnnkit::RNNKIT_FAMILY
