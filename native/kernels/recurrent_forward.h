// The forward pass of every recurrent kernel: which rows run at a step, and where their data lies.
#pragma once

#include "recurrent_cell.h"

namespace rnnkit::RNNKIT_FAMILY {

// `Own`: the packed weights of a thread, with their products.
template <Cell C, class Own = ThreadWeights<typename C::Element>>
class ForwardPass {
    using T = typename C::Element;

public:
    ForwardPass(const RecurrentProblem& problem, void* scratch)
        : problem_(problem), split_(split_for(problem, C::gates, C::units_independent(problem), Own::element)) {
        Arena arena(scratch);
        width_ = C::saved_width(problem_) > 0 ? C::saved_width(problem_) : 1;
        order_.allocate(arena, problem_.batch);
        counts_ = arena.allocate<int64_t>(problem_.lengths != nullptr ? problem_.time + 1 : 0);
        sorted_ = arena.allocate<int64_t>(problem_.batch);
        rows_.allocate(arena, problem_.batch);
        weights_ = arena.allocate<Own>(split_.threads);
        zeros_ = arena.allocate<T>(longest_state());
        bias_ = arena.allocate<T>(bias_width());
        work_ = arena.allocate<T>(problem_.batch * width_);
        masked_ = arena.allocate<T>(problem_.masked ? problem_.batch * problem_.state : 0);
        const int64_t ahead = split_.by_units ? rows_ahead() : 0;
        ahead_x_ = arena.allocate<const T*>(ahead), ahead_work_ = arena.allocate<T*>(ahead);
        cell_.allocate(arena, problem_);
        Own first;
        for (int i = 0; i < split_.threads; ++i) {
            Own own;
            own.units = split_.by_units ? units_of(problem_, i, split_.threads) : units_of(problem_, 0, 1);
            own.count = C::weight_blocks(problem_, own.units, own.blocks);
            own.allocate(arena, problem_, split_.by_units || i == 0 ? nullptr : &first);
            if (i == 0) first = own;
            if (scratch != nullptr) weights_[i] = own;
        }
        bytes_ = arena.used();
    }
    size_t bytes() const { return bytes_; }

    // Packs the weights; `run` may follow any number of times. `source`: the matrices, as `Own` takes them.
    void pack(const RecurrentWeights<T>& weights, const typename Own::Source& source) {
        const bool small = C::gates * problem_.hidden * (problem_.input + problem_.state) < serial_weights;
        parallel(small ? 1 : split_.threads, [&](int thread, int count) {
            if (split_.by_units)
                for (int i = thread; i < split_.threads; i += count) weights_[i].pack(problem_, source, 0, 1);
            else
                weights_[0].pack(problem_, source, thread, count);
        });
        fill(bias_, T(0), bias_width());
        cell_.prepare_forward(problem_, weights, bias_);
        fill(zeros_, T(0), longest_state());
    }

    void run(const RecurrentForward<T>& call) {
        order_.sort(problem_.lengths, problem_.time, split_.by_units ? 1 : split_.threads, counts_, sorted_);
        if (split_.by_units) {
            ForwardRows<T> rows = rows_.from(0);
            start(call, rows, problem_.batch, work_);
            const bool ahead = call.added.data == nullptr && has_work_rows(call);
            if (call.added.data == nullptr)
                rows.products = ahead ? Products::of_state : Products::apart;  // the same bits either way
            int64_t multiplied = ahead ? 0 : order_.longest;
            for (int64_t step = 0; step < order_.longest; ++step) {
                if (step == multiplied) multiplied = multiply_ahead(call, step);
                bind_step(call, rows, step);
                parallel(split_.threads,
                         [&](int thread, int) { cell_.forward_step(problem_, call, rows, weights_[thread], bias_); });
                advance(rows);
            }
            finish(call, rows, problem_.batch);
            return;
        }
        parallel(split_.threads, [&](int thread, int) {
            const RowBlocks blocks(order_.begin(thread), order_.begin(thread + 1));
            for (int64_t block = 0; block < blocks.count; ++block) {
                const int64_t end = blocks.begin(block + 1);
                ForwardRows<T> rows = rows_.from(blocks.begin(block));
                start(call, rows, end, work_ + blocks.from * width_);  // the work rows are the same for all blocks
                for (int64_t step = 0; step < order_.longest; ++step) {
                    bind_step(call, rows, step);
                    if (rows.count == 0) break;
                    cell_.forward_step(problem_, call, rows, weights_[thread], bias_);
                    advance(rows);
                }
                finish(call, rows, end);
            }
        });
    }

private:
    int64_t longest_state() const { return problem_.state > problem_.hidden ? problem_.state : problem_.hidden; }
    int64_t bias_width() const {
        const int64_t saved = C::saved_width(problem_), gates = C::gates * problem_.hidden;
        return saved > gates ? saved : gates;
    }
    // Rows whose products with the input are computed at a time: several steps', so that W is read once for all.
    int64_t rows_ahead() const { return problem_.batch > pair_block ? problem_.batch : pair_block; }
    // Whether each step has a work row of its own.
    bool has_work_rows(const RecurrentForward<T>& call) const {
        return problem_.time > 1 && (call.saved.data != nullptr || C::saved_width(problem_) == 0);
    }
    // Computes the products with the input of the next steps, from `step` on; returns the step behind them.
    int64_t multiply_ahead(const RecurrentForward<T>& call, int64_t step) const {
        int64_t n = 0;
        for (; step < order_.longest; ++step) {
            int64_t count = 0;
            while (count < problem_.batch && order_.length[count] > step) ++count;
            if (n + count > rows_ahead()) break;
            for (int64_t p = 0; p < count; ++p, ++n) {
                const int64_t b = order_.row[p], t = time_of(problem_, order_.length[p], step);
                ahead_x_[n] = call.x.data != nullptr ? at(call.x, b, t) : nullptr;
                ahead_work_[n] = call.saved.data != nullptr ? at(call.saved, b, t) : at(call.out, b, t);
            }
        }
        parallel(split_.threads, [&](int thread, int) {
            weights_[thread].multiply(problem_, Products::of_input, n, ahead_x_, nullptr, bias_, ahead_work_);
        });
        return step;
    }
    // Row b of an array of states, or zeros.
    const T* state_row(const T* states, int64_t b, int64_t width) const {
        return states != nullptr ? states + b * width : zeros_;
    }

    // The initial state of the rows up to position `end`; `work`: the first of their work rows.
    void start(const RecurrentForward<T>& call, ForwardRows<T>& rows, int64_t end, T* work) {
        rows.count = end - rows.position;
        rows.products = call.added.data != nullptr ? Products::onto : Products::together;
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t p = rows.position + r, b = order_.row[p];
            rows.batch[r] = b;
            rows.h[r] = state_row(call.h0, b, problem_.state), rows.c[r] = state_row(call.c0, b, problem_.hidden);
            rows.saved[r] = work + r * width_;
        }
    }

    // Finds the rows that run at this step, and their data.
    void bind_step(const RecurrentForward<T>& call, ForwardRows<T>& rows, int64_t step) {
        while (rows.count > 0 && order_.length[rows.position + rows.count - 1] <= step) --rows.count;
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t p = rows.position + r, b = rows.batch[r], t = time_of(problem_, order_.length[p], step);
            rows.time[r] = t;
            if (call.x.data != nullptr) rows.x[r] = at(call.x, b, t);
            rows.out[r] = at(call.out, b, t);
            if (call.saved.data != nullptr) rows.saved[r] = at(call.saved, b, t);
            if (resets_at(problem_, b, t)) {
                rows.h[r] = state_row(call.reset_h, b, problem_.state);
                rows.c[r] = state_row(call.reset_c, b, problem_.hidden);
            }
            if (call.added.data != nullptr) begin_products(at(call.added, b, t), rows, r);
            rows.recurrent[r] = rows.h[r];
            if (!problem_.masked) continue;
            T* const masked = masked_ + p * problem_.state;
            for (int64_t i = 0; i < problem_.state; ++i) masked[i] = rows.h[r][i] * call.mask[b * problem_.state + i];
            rows.recurrent[r] = masked;
        }
    }

    // Puts into a work row what its products are added to.
    void begin_products(const T* added, const ForwardRows<T>& rows, int64_t r) const {
        T* const work = C::saved_width(problem_) > 0 ? rows.saved[r] : rows.out[r];
        for (int64_t i = 0; i < C::gates * problem_.hidden; ++i) work[i] = added[i] + bias_[i];
    }

    // The state after the step becomes the state before the next one.
    void advance(ForwardRows<T>& rows) {
        for (int64_t r = 0; r < rows.count; ++r) {
            rows.h[r] = rows.out[r];
            if (C::c_offset(problem_) >= 0) rows.c[r] = rows.saved[r] + C::c_offset(problem_);
        }
    }

    // The last states, and the zeros behind each row's length.
    void finish(const RecurrentForward<T>& call, ForwardRows<T>& rows, int64_t end) {
        for (int64_t p = rows.position; p < end; ++p) {
            const int64_t r = p - rows.position, b = order_.row[p];
            copy(call.hn + b * problem_.state, rows.h[r], problem_.state);
            if (call.cn != nullptr) copy(call.cn + b * problem_.hidden, rows.c[r], problem_.hidden);
            for (int64_t t = order_.length[p]; t < problem_.time; ++t) fill(at(call.out, b, t), T(0), problem_.state);
        }
    }

    const RecurrentProblem& problem_;
    Split split_;
    C cell_;
    RowOrder order_;
    ForwardRows<T> rows_;
    Own* weights_;  // of each thread; by rows they share what is packed
    int64_t *counts_, *sorted_, width_;
    T *zeros_, *bias_, *work_, *masked_;
    const T** ahead_x_;
    T** ahead_work_;
    size_t bytes_;
};

}  // namespace rnnkit::RNNKIT_FAMILY
