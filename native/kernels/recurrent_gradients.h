// The way back over time. See recurrent_walk.h for who computes which.
#pragma once

#include "recurrent_sums.h"
#include "recurrent_walk.h"

namespace rnnkit::RNNKIT_FAMILY {

// One thread's rows at one step of the way back, by place.
template <class T>
struct BackRows {
    int64_t count, place;
    int64_t *batch, *time;
    const T **h, **c;                          // the state before the step
    const T **out, **saved, **dout, **dcells;  // dout and dcells null where there are none
    T **carry_h, **carry_c;                    // gradient that reaches the state from later steps; the cell replaces it
    T **ring, **dx;

    void take(Arena& arena, int64_t n) {
        batch = arena.take<int64_t>(n), time = arena.take<int64_t>(n);
        const T*** const read[] = {&h, &c, &out, &saved, &dout, &dcells};
        for (const T*** pointers : read) *pointers = arena.take<const T*>(n);
        T*** const written[] = {&carry_h, &carry_c, &ring, &dx};
        for (T*** pointers : written) *pointers = arena.take<T*>(n);
    }
    BackRows from(int64_t p) const {
        return {0,         p,        batch + p,  time + p,    h + p,       c + p,    out + p,
                saved + p, dout + p, dcells + p, carry_h + p, carry_c + p, ring + p, dx + p};
    }
};

// Walks back. A cell that can step back has, beside gates, alone(), saved_size() and c_from():
//   ring_size(sizes)            elements of a ring row; it begins with the gradients before the nonlinearities, of
//   which bias_size(sizes)            are summed over steps for `biases` recurrent_from(sizes)       where the ring row
//   keeps what U was multiplied by, or -1: it was h depth_h(sizes)              rows of U that dh is made of x_from,
//   h_from              where the left sides of dx and dh begin in a ring row pack_w(sizes, weights, panels, panel,
//   packed)     B of dx; its rows in the order of the ring adds(sizes)                 whether the cell leaves its own
//   part of dh in carry_h, for the product to add to sums(sizes, sums, begin, end, transposed, list) -> number take,
//   prepare               as forward, without a bias differentiate(sizes, call, rows, begin, end, sums)   from dout,
//   carries and saved rows to ring rows and carries one_bias                    whether both biases have the same
//   gradient; biases(sizes, total, db) writes them
template <class T, template <class> class Cell>
class Backward {
public:
    Backward(const RecurrentSizes& sizes, const RecurrentBackward<T>* call, void* base)
        : s_(sizes), split_(split_for(sizes, Cell<T>::gates, Cell<T>::alone(sizes), sizeof(T))), call_(call) {
        Arena arena(base);
        const int64_t G = Cell<T>::gates, H = s_.hidden, S = s_.state, I = s_.input, threads = split_.threads;
        places_.take(arena, s_.batch);
        counts_ = arena.take<int64_t>(s_.lengths != nullptr ? s_.time + 1 : 0);
        sorted_ = arena.take<int64_t>(s_.batch);
        rows_.take(arena, s_.batch);
        const int64_t longest = S > H ? S : H;
        zeros_ = arena.take<T>(longest);
        carry_h_ = arena.take<T>(s_.batch * S), carry_c_ = arena.take<T>(s_.batch * H);
        masked_ = arena.take<T>(s_.masked ? s_.batch * S : 0);
        masked_rows_ = arena.take<T*>(s_.masked ? s_.batch : 0);
        left_x_ = arena.take<const T*>(s_.batch), left_h_ = arena.take<const T*>(s_.batch);
        gathered_ = arena.take<Gathered<T>>(groups());
        for (int i = 0; i < groups(); ++i) {
            Gathered<T> gathered;
            gathered.take(arena, ceil_div(s_.batch, groups()), Cell<T>::ring_size(s_));
            if (base != nullptr) gathered_[i] = gathered;
        }
        outer_ = arena.take<T>(threads * outer_scratch<T>);
        packed_w_ = arena.take<T>(padded(I) * G * H);
        packed_u_ = arena.take<T>(state_start(shares()) * Cell<T>::depth_h(s_));
        bias_total_ = arena.take<T>(Cell<T>::bias_size(s_));
        block_ = 0;
        for (int i = 0; i < blocks; ++i) block_ += block_size(i);
        sums_ = arena.take<T>(split_.by_units ? 0 : threads * block_);
        cell_.take(arena, s_);
        bytes_ = arena.used();
    }
    size_t bytes() const { return bytes_; }

    void run() {
        places_.fill(s_.lengths, s_.time, groups(), counts_, sorted_);
        fill(zeros_, T(0), s_.state > s_.hidden ? s_.state : s_.hidden);
        const bool small = Cell<T>::gates * s_.hidden * (s_.input + s_.state) < serial_weights;
        parallel(small ? 1 : split_.threads, [&](int thread, int count) { pack(thread, count); });
        cell_.prepare(s_, call_->weights);
        if (split_.by_units)
            by_units();
        else
            by_rows();
    }

private:
    static constexpr int blocks = 11;

    int groups() const { return split_.by_units ? 1 : split_.threads; }
    static int64_t padded(int64_t n) { return Panels<T>(n).padded(); }

    // Elements of each of the sums in a thread's block, in the order of Sums.
    int64_t block_size(int i) const {
        const int64_t G = Cell<T>::gates, H = s_.hidden;
        const bool projected = s_.state != H;
        const int64_t sizes[blocks] = {
            G * H * s_.input,         G * H * s_.state,      Cell<T>::bias_size(s_), projected ? s_.state * H : 0,
            s_.peepholes ? 3 * H : 0, s_.normed ? G * H : 0, s_.normed ? G * H : 0,  s_.normed ? G * H : 0,
            s_.normed ? G * H : 0,    s_.normed ? H : 0,     s_.normed ? H : 0};
        return sizes[i];
    }
    int64_t block_start(int block) const {
        int64_t start = 0;
        for (int i = 0; i < block; ++i) start += block_size(i);
        return start;
    }
    // With the gates along the vectors a narrow input wastes no lanes; dW is then gathered as [I, G·H].
    bool transposed() const {
        const int64_t wide = Cell<T>::gates * s_.hidden;
        return !split_.by_units && s_.input * Panels<T>(wide).vectors <= wide * Panels<T>(s_.input).vectors;
    }
    // With `normed` the cell itself adds up the one bias that it sees.
    bool wants_bias() const { return !s_.normed && (call_->db[0] != nullptr || call_->db[1] != nullptr); }
    bool wants_weights() const {
        return call_->dw != nullptr || call_->du != nullptr || wants_bias() || call_->dprojection != nullptr;
    }

    // What thread `thread` of a split by rows adds up.
    Sums<T> thread_sums(int thread) const {
        T* place = sums_ + thread * block_;
        const auto next = [&](int i, bool wanted) {
            T* const here = place;
            place += block_size(i);
            return wanted ? here : nullptr;
        };
        Sums<T> sums;
        sums.dw = next(0, call_->dw != nullptr), sums.du = next(1, call_->du != nullptr);
        sums.dbias = next(2, wants_bias());
        sums.dprojection = next(3, call_->dprojection != nullptr);
        sums.dpeephole = next(4, call_->dpeephole != nullptr);
        sums.dgain_x = next(5, s_.normed), sums.dshift_x = next(6, s_.normed);
        sums.dgain_h = next(7, s_.normed), sums.dshift_h = next(8, s_.normed);
        sums.dgain_c = next(9, s_.normed), sums.dshift_c = next(10, s_.normed);
        return sums;
    }

    void pack(int thread, int count) const {
        int64_t number = 0;
        for (int i = 0; i < shares(); ++i) {
            const Panels<T> states = state_panels(i);
            T* const packed_u = packed_u_ + state_start(i) * Cell<T>::depth_h(s_);
            for (int64_t p = 0; p < states.count; ++p)
                if (number++ % count == thread)
                    pack_panel(states, p, call_->weights.u + share_begin(s_.state, shares(), i), s_.state, false,
                               Cell<T>::depth_h(s_), packed_u + states.start(p) * lanes<T> * Cell<T>::depth_h(s_));
        }
        if (call_->dx.data == nullptr) return;
        const Panels<T> inputs(s_.input);
        for (int64_t p = 0; p < inputs.count; ++p)
            if (number++ % count == thread)
                Cell<T>::pack_w(s_, call_->weights, inputs, p,
                                packed_w_ + inputs.start(p) * lanes<T> * Cell<T>::gates * s_.hidden);
    }
    // The parts of the state that threads compute dh of.
    int shares() const { return split_.by_units ? split_.threads : 1; }
    Panels<T> state_panels(int i) const {
        return Panels<T>(share_begin(s_.state, shares(), i + 1) - share_begin(s_.state, shares(), i));
    }
    int64_t state_start(int i) const {
        int64_t start = 0;
        for (int j = 0; j < i; ++j) start += state_panels(j).padded();
        return start;
    }
    void by_units() {
        const int threads = split_.threads;
        BackRows<T> rows = rows_.from(0);
        Gathered<T>& gathered = gathered_[0];
        gathered.begin();
        start(rows, 0, s_.batch);
        const auto sums_of = [&](int thread, Sum<T>* list) {
            Sums<T> sums{};
            sums.dw = call_->dw, sums.du = call_->du, sums.dbias = wants_bias() ? bias_total_ : nullptr;
            return Cell<T>::sums(s_, sums, share_begin(s_.hidden, threads, thread),
                                 share_begin(s_.hidden, threads, thread + 1), false, list);
        };
        const auto flush = [&](int thread) {
            Sum<T> list[max_sums];
            const int count = sums_of(thread, list);
            gathered.sum(list, count, outer_ + thread * outer_scratch<T>);
            if (!wants_bias()) return;
            const int64_t size = Cell<T>::bias_size(s_), begin = share_begin(size, threads, thread);
            gathered.sum_rows(begin, share_begin(size, threads, thread + 1) - begin, bias_total_ + begin);
        };
        if (call_->dpeephole != nullptr) fill(call_->dpeephole, T(0), 3 * s_.hidden);
        for (int64_t step = places_.longest - 1; step >= 0; --step) {
            if (count_rows(rows, 0, step) && gathered.lacks_room_for(rows.count)) {
                parallel(threads, [&](int thread, int) { flush(thread); });
                gathered.clear();
            }
            enter(rows, 0, step, gathered);
            Sums<T> own{};
            own.dpeephole = call_->dpeephole;
            parallel(threads, [&](int thread, int) {
                cell_.differentiate(s_, *call_, rows, share_begin(s_.hidden, threads, thread),
                                    share_begin(s_.hidden, threads, thread + 1), own);
            });
            parallel(threads, [&](int thread, int) {
                propagate_x(rows, thread, threads);
                if (step > 0 || call_->dh0 != nullptr || call_->dreset_h != nullptr) propagate_h(rows, thread);
            });
            leave(rows);
        }
        parallel(threads, [&](int thread, int) {
            if (wants_weights()) flush(thread);
        });
        finish(rows, 0, s_.batch);
        if (wants_bias()) Cell<T>::biases(s_, bias_total_, call_->db);
    }

    void by_rows() {
        parallel(split_.threads, [&](int thread, int) {
            const int64_t begin = places_.begin(thread), end = places_.begin(thread + 1);
            BackRows<T> rows = rows_.from(begin);
            Gathered<T>& gathered = gathered_[thread];
            gathered.begin();
            start(rows, begin, end);
            T* const own = sums_ + thread * block_;
            const Sums<T> sums = thread_sums(thread);
            Sum<T> list[max_sums];
            const int count = Cell<T>::sums(s_, sums, 0, s_.hidden, transposed(), list);
            if (sums.dpeephole != nullptr) fill(sums.dpeephole, T(0), block_size(4));
            for (int i = 5; s_.normed && i < blocks; ++i) fill(own + block_start(i), T(0), block_size(i));
            const auto flush = [&] {
                gathered.sum(list, count, outer_ + thread * outer_scratch<T>);
                if (sums.dbias != nullptr) gathered.sum_rows(0, Cell<T>::bias_size(s_), sums.dbias);
                gathered.clear();
            };
            for (int64_t step = places_.longest - 1; step >= 0; --step) {
                if (!count_rows(rows, begin, step, end)) continue;
                if (gathered.lacks_room_for(rows.count)) flush();
                enter(rows, begin, step, gathered);
                cell_.differentiate(s_, *call_, rows, 0, s_.hidden, sums);
                propagate_x(rows, 0, 1);
                if (step > 0 || call_->dh0 != nullptr || call_->dreset_h != nullptr) propagate_h(rows, 0);
                leave(rows);
            }
            if (wants_weights()) flush();
            finish(rows, begin, end);
        });
        const bool small = Cell<T>::gates * s_.hidden * (s_.input + s_.state) < serial_weights;
        parallel(small ? 1 : split_.threads, [&](int thread, int count) { add_up(thread, count); });
        if (wants_bias()) Cell<T>::biases(s_, bias_total_, call_->db);
    }

    // The threads' blocks, added in the order of the threads.
    void add_up(int part, int parts) const {
        struct Wanted {
            int block;
            T* to;
        };
        const Wanted all[] = {{0, transposed() ? nullptr : call_->dw},
                              {1, call_->du},
                              {2, wants_bias() ? bias_total_ : nullptr},
                              {3, call_->dprojection},
                              {4, call_->dpeephole},
                              {5, call_->dgain_x},
                              {6, s_.normed ? call_->db[0] : nullptr},
                              {7, call_->dgain_h},
                              {Cell<T>::one_bias ? 6 : 8, s_.normed ? call_->db[1] : nullptr},
                              {9, call_->dgain_c},
                              {10, call_->dshift_c}};
        for (const Wanted& one : all) {
            if (one.to == nullptr) continue;
            const int64_t place = block_start(one.block);
            const int64_t size = block_size(one.block), begin = share_begin(size, parts, part);
            const int64_t n = share_begin(size, parts, part + 1) - begin;
            copy(one.to + begin, sums_ + place + begin, n);
            for (int thread = 1; thread < split_.threads; ++thread)
                add(one.to + begin, sums_ + thread * block_ + place + begin, n);
        }
        if (call_->dw == nullptr || !transposed()) return;
        const int64_t I = s_.input, wide = Cell<T>::gates * s_.hidden;
        const int64_t begin = share_begin(wide, parts, part), end = share_begin(wide, parts, part + 1);
        for (int64_t i = 0; i < I; ++i)
            for (int64_t j = begin; j < end; ++j) {
                T total = sums_[i * wide + j];
                for (int thread = 1; thread < split_.threads; ++thread) total += sums_[thread * block_ + i * wide + j];
                call_->dw[j * I + i] = total;
            }
    }

    void start(BackRows<T>& rows, int64_t begin, int64_t end) {
        rows.count = 0;
        const int64_t S = s_.state, H = s_.hidden;
        for (int64_t r = 0; r < end - begin; ++r) {
            const int64_t b = places_.row[begin + r];
            rows.batch[r] = b;
            rows.carry_h[r] = carry_h_ + (begin + r) * S, rows.carry_c[r] = carry_c_ + (begin + r) * H;
            set(rows.carry_h[r], call_->dhn != nullptr ? call_->dhn + b * S : nullptr, S);
            set(rows.carry_c[r], call_->dcn != nullptr ? call_->dcn + b * H : nullptr, H);
            if (s_.masked) masked_rows_[begin + r] = masked_ + (begin + r) * S;
            T *const states[] = {call_->dh0, call_->dreset_h}, *const cells[] = {call_->dc0, call_->dreset_c};
            for (T* to : states)
                if (to != nullptr) fill(to + b * S, T(0), S);
            for (T* to : cells)
                if (to != nullptr) fill(to + b * H, T(0), H);
            for (int64_t t = places_.length[begin + r]; call_->dx.data != nullptr && t < s_.time; ++t)
                fill(at(call_->dx, b, t), T(0), s_.input);
        }
    }
    static void set(T* to, const T* from, int64_t n) {
        if (from != nullptr)
            copy(to, from, n);
        else
            fill(to, T(0), n);
    }

    // How many rows run at this step: places are sorted, longest first.
    bool count_rows(BackRows<T>& rows, int64_t begin, int64_t step, int64_t end) {
        while (rows.count < end - begin && places_.length[begin + rows.count] > step) ++rows.count;
        return rows.count > 0;
    }
    bool count_rows(BackRows<T>& rows, int64_t begin, int64_t step) { return count_rows(rows, begin, step, s_.batch); }

    void enter(BackRows<T>& rows, int64_t begin, int64_t step, Gathered<T>& gathered) {
        const int64_t c_from = Cell<T>::c_from(s_), keeps = Cell<T>::recurrent_from(s_);
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t b = rows.batch[r], t = time_of(s_, places_.length[begin + r], step);
            const int64_t before = s_.reverse ? t + 1 : t - 1;
            rows.time[r] = t;
            const bool reset = resets_at(s_, b, t), first = reset || step == 0;
            const T *const h = reset ? call_->reset_h : call_->h0, *const c = reset ? call_->reset_c : call_->c0;
            const T* state = h != nullptr ? h + b * s_.state : nullptr;
            if (!first) state = at(call_->out, b, before);
            rows.h[r] = state != nullptr ? state : zeros_;
            rows.c[r] = c != nullptr ? c + b * s_.hidden : zeros_;
            if (!first && c_from >= 0) rows.c[r] = at(call_->saved, b, before) + c_from;
            rows.out[r] = at(call_->out, b, t);
            rows.saved[r] = call_->saved.data != nullptr ? at(call_->saved, b, t) : nullptr;
            rows.dout[r] = call_->dout.data != nullptr ? at(call_->dout, b, t) : nullptr;
            rows.dcells[r] = call_->dcells.data != nullptr ? at(call_->dcells, b, t) : nullptr;
            rows.dx[r] = call_->dx.data != nullptr ? at(call_->dx, b, t) : nullptr;
            T* const ring = gathered.add(call_->dw != nullptr ? at(call_->x, b, t) : nullptr, state, keeps);
            if (keeps >= 0)
                for (int64_t i = 0; i < s_.state; ++i)
                    ring[keeps + i] = s_.masked ? rows.h[r][i] * call_->mask[b * s_.state + i] : rows.h[r][i];
            rows.ring[r] = ring;
            left_x_[begin + r] = ring + Cell<T>::x_from(s_), left_h_[begin + r] = ring + Cell<T>::h_from(s_);
        }
    }

    // dx = W · ring, the columns of thread `thread`.
    void propagate_x(const BackRows<T>& rows, int thread, int threads) const {
        if (call_->dx.data == nullptr) return;
        const int64_t depth = Cell<T>::gates * s_.hidden;
        const Panels<T> all(s_.input);
        const Segment<T> segment[] = {{left_x_ + rows.place, packed_w_, depth}};
        multiply_rows(all, share_begin(all.count, threads, thread), share_begin(all.count, threads, thread + 1),
                      rows.count, segment, Begin::at_bias, static_cast<const T*>(nullptr), rows.dx, 0);
    }

    // carry_h (+)= Uᵀ · ring, through the mask where there is one.
    void propagate_h(const BackRows<T>& rows, int thread) const {
        const int64_t depth = Cell<T>::depth_h(s_);
        const Segment<T> segment[] = {{left_h_ + rows.place, packed_u_ + state_start(thread) * depth, depth}};
        const bool adds = Cell<T>::adds(s_);
        T* const* const to = s_.masked ? masked_rows_ + rows.place : rows.carry_h;
        const Panels<T> panels = state_panels(thread);
        multiply_rows(panels, 0, panels.count, rows.count, segment,
                      adds && !s_.masked ? Begin::at_content : Begin::at_bias, static_cast<const T*>(nullptr), to,
                      share_begin(s_.state, shares(), thread));
        for (int64_t r = 0; s_.masked && r < rows.count; ++r)
            for (int64_t i = 0; i < s_.state; ++i)
                rows.carry_h[r][i] =
                    (adds ? rows.carry_h[r][i] : T(0)) + call_->mask[rows.batch[r] * s_.state + i] * to[r][i];
    }

    // After a step that began at a reset the gradient belongs to what that put back.
    void leave(const BackRows<T>& rows) const {
        if (s_.resets.data == nullptr) return;
        for (int64_t r = 0; r < rows.count; ++r) {
            if (!resets_at(s_, rows.batch[r], rows.time[r])) continue;
            reach(rows, r, call_->dreset_h, call_->dreset_c);
            fill(rows.carry_h[r], T(0), s_.state);
            fill(rows.carry_c[r], T(0), s_.hidden);
        }
    }
    void reach(const BackRows<T>& rows, int64_t r, T* dh, T* dc) const {
        const int64_t b = rows.batch[r];
        if (dh != nullptr) add(dh + b * s_.state, rows.carry_h[r], s_.state);
        if (dc != nullptr) add(dc + b * s_.hidden, rows.carry_c[r], s_.hidden);
    }
    void finish(const BackRows<T>& rows, int64_t begin, int64_t end) const {
        for (int64_t r = 0; r < end - begin; ++r) reach(rows, r, call_->dh0, call_->dc0);
    }

    const RecurrentSizes& s_;
    Split split_;
    const RecurrentBackward<T>* call_;
    Cell<T> cell_;
    Places places_;
    BackRows<T> rows_;
    int64_t *counts_, *sorted_, block_;
    T *zeros_, *carry_h_, *carry_c_, *masked_, *outer_, *packed_w_, *packed_u_, *bias_total_, *sums_;
    T** masked_rows_;
    const T **left_x_, **left_h_;
    Gathered<T>* gathered_;
    size_t bytes_;
};

}  // namespace rnnkit::RNNKIT_FAMILY
