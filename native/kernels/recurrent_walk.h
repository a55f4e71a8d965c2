// How every recurrent kernel walks over time: which rows run, where their data lies, who computes what, and how the
// gradients of the weights are summed. A kernel adds its cell: the arithmetic of one step for some rows.
//
// The work is split over threads in one of two ways. By rows: each thread takes its own rows through the whole sequence
// and meets no other. By hidden units, where the weights outgrow a core's cache or rows are fewer than threads: each
// thread computes its own units of all rows, with its own part of the weights, and they meet once a step. What an index
// of parallel() computes never depends on how many threads really run.
#pragma once

#include "../common/parallel.h"
#include "../common/rows.h"
#include "recurrent.h"

namespace rnnkit::RNNKIT_FAMILY {

// Floating-point operations of a forward call for each thread: measured on two cores, one thread is as fast up to 1.7
// million, and two are 1.5 times faster at 5.
constexpr double flops_per_thread = 1.5e6;

// Weights under which packing them, and adding up their gradients, is done by the caller alone: a few microseconds,
// less than another meeting of the threads costs where something else wants the cores too.
constexpr int64_t serial_weights = 1 << 17;

// Bytes of packed weights above which threads share hidden units: they no longer stay in a core's own cache.
constexpr int64_t private_cache = 3 << 19;
// Floating-point operations that make a meeting of the threads at every step worth while.
constexpr double flops_per_meeting = 4e5;

constexpr int max_parts = 6;

template <class T>
RNNKIT_INLINE T* at(const Strided<T>& array, int64_t b, int64_t t) {
    return array.data + b * array.batch + t * array.time;
}
template <class T>
RNNKIT_INLINE void fill(T* p, T value, int64_t n) {
    for (int64_t i = 0; i < n; ++i) p[i] = value;
}
template <class T>
RNNKIT_INLINE void copy(T* to, const T* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}
template <class T>
RNNKIT_INLINE void add(T* to, const T* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] += from[i];
}

// The time step that a row of this length takes at its s-th step.
RNNKIT_INLINE int64_t time_of(const RecurrentSizes& sizes, int64_t length, int64_t s) {
    return sizes.reverse ? length - 1 - s : s;
}
RNNKIT_INLINE bool resets_at(const RecurrentSizes& sizes, int64_t b, int64_t t) {
    return sizes.resets.data != nullptr && *at(sizes.resets, b, t) != 0;
}

struct Split {
    int threads;
    bool by_units;
};

// `alone`: whether a unit's step needs nothing of the other units but h before the step.
inline Split split_for(const RecurrentSizes& s, int64_t gates, bool alone, size_t element) {
    const double step = 2.0 * static_cast<double>(s.batch * gates * s.hidden) * static_cast<double>(s.input + s.state);
    const double flops = step * static_cast<double>(s.time);
    const int64_t wanted = smaller(s.threads, 1 + static_cast<int64_t>(flops / flops_per_thread));
    const int64_t bytes = gates * s.hidden * (s.input + s.state) * static_cast<int64_t>(element);
    const int64_t by_units = smaller(wanted, smaller(s.hidden / 32, static_cast<int64_t>(step / flops_per_meeting)));
    if (alone && by_units > 1 && (bytes > private_cache || s.batch < wanted)) return {static_cast<int>(by_units), true};
    const int64_t by_rows = smaller(wanted, s.batch);
    return {static_cast<int>(by_rows < 1 ? 1 : by_rows), false};
}

// Rows [from, from + count) of the weights give columns [to, to + count) of a work row, by the input, the state or
// both.
struct Part {
    int64_t from, count, to;
    bool with_x, with_h;
};

// The parts that one thread computes, and where its packed weights begin.
template <class T>
struct Share {
    int64_t begin, end;  // hidden units
    int count;
    Part parts[max_parts];
    T* packed;

    int64_t packed_size(const RecurrentSizes& s) const {
        int64_t size = 0;
        for (int i = 0; i < count; ++i)
            size += Panels<T>(parts[i].count).padded() *
                    ((parts[i].with_x ? s.input : 0) + (parts[i].with_h ? s.state : 0));
        return size;
    }

    // Panels number `thread`, `thread` + `threads`, ... of all parts.
    void pack(const RecurrentSizes& s, const RecurrentWeights<T>& weights, int thread, int threads) const {
        T* at = packed;
        int64_t number = 0;
        for (int i = 0; i < count; ++i) {
            const Part& part = parts[i];
            const Panels<T> panels(part.count);
            const auto one = [&](const T* w, int64_t depth) {
                for (int64_t p = 0; p < panels.count; ++p)
                    if (number++ % threads == thread)
                        pack_panel(panels, p, w + part.from * depth, depth, true, depth,
                                   at + panels.start(p) * lanes<T> * depth);
                at += panels.padded() * depth;
            };
            if (part.with_x) one(weights.w, s.input);
            if (part.with_h) one(weights.u, s.state);
        }
    }

    // The products of all parts; `bias` is laid out as a work row.
    void multiply(const RecurrentSizes& s, int64_t rows, const T* const* x, const T* const* h, const T* bias,
                  T* const* work) const {
        const T* at = packed;
        for (int i = 0; i < count; ++i) {
            const Part& part = parts[i];
            const Panels<T> panels(part.count);
            const T* const start = bias != nullptr ? bias + part.to : nullptr;
            const Segment<T> both[] = {
                {x, at, part.with_x ? s.input : 0},
                {h, at + (part.with_x ? panels.padded() * s.input : 0), part.with_h ? s.state : 0}};
            multiply_rows(panels, 0, panels.count, rows, both, Begin::at_bias, start, work, part.to);
            at += panels.padded() * (both[0].depth + both[1].depth);
        }
    }
};

// One thread's rows at one step, by place.
template <class T>
struct Rows {
    int64_t count, place;  // how many, and the place of the first
    int64_t *batch, *time;
    const T **x, **h, **c;  // the input, and the state before the step
    const T** recurrent;    // what U multiplies: h, or its masked copy
    T **out, **saved;

    void take(Arena& arena, int64_t n) {
        batch = arena.take<int64_t>(n), time = arena.take<int64_t>(n);
        const T*** const read[] = {&x, &h, &c, &recurrent};
        for (const T*** pointers : read) *pointers = arena.take<const T*>(n);
        out = arena.take<T*>(n), saved = arena.take<T*>(n);
    }
    Rows from(int64_t begin) const {
        return {0,         begin,     batch + begin,     time + begin, x + begin,
                h + begin, c + begin, recurrent + begin, out + begin,  saved + begin};
    }
};

// Walks forward. A cell that can take a step has:
//   gates                       G
//   alone(sizes)                see split_for()
//   saved_size(sizes)           elements of a saved row, which is also the work row that the products are written to
//   c_from(sizes)               where c lies in it, or -1
//   parts(sizes, begin, end, parts)   the parts of the products for these hidden units; returns their number
//   take(arena, sizes)          its own scratch
//   prepare(sizes, weights, bias)     what is computed once a call; bias is laid out as a work row
//   step(sizes, call, rows, share, bias)
template <class T, template <class> class Cell>
class Forward {
public:
    Forward(const RecurrentSizes& sizes, void* base)
        : s_(sizes), split_(split_for(sizes, Cell<T>::gates, Cell<T>::alone(sizes), sizeof(T))) {
        Arena arena(base);
        width_ = Cell<T>::saved_size(s_) > 0 ? Cell<T>::saved_size(s_) : 1;
        places_.take(arena, s_.batch);
        counts_ = arena.take<int64_t>(s_.lengths != nullptr ? s_.time + 1 : 0);
        sorted_ = arena.take<int64_t>(s_.batch);
        rows_.take(arena, s_.batch);
        shares_ = arena.take<Share<T>>(split_.threads);
        const int64_t longest = s_.state > s_.hidden ? s_.state : s_.hidden;
        zeros_ = arena.take<T>(longest);
        bias_ = arena.take<T>(work_size());
        work_ = arena.take<T>(s_.batch * width_);
        masked_ = arena.take<T>(s_.masked ? s_.batch * s_.state : 0);
        cell_.take(arena, s_);
        for (int i = 0; i < share_count(); ++i) {
            Share<T> share;
            share.begin = share_begin(s_.hidden, share_count(), i);
            share.end = share_begin(s_.hidden, share_count(), i + 1);
            share.count = Cell<T>::parts(s_, share.begin, share.end, share.parts);
            share.packed = arena.take<T>(share.packed_size(s_));
            if (base != nullptr) shares_[i] = share;
        }
        bytes_ = arena.used();
    }
    size_t bytes() const { return bytes_; }

    // Packs the weights; `run` may follow any number of times.
    void pack(const RecurrentWeights<T>& weights) {
        const bool small = Cell<T>::gates * s_.hidden * (s_.input + s_.state) < serial_weights;
        parallel(small ? 1 : split_.threads, [&](int thread, int count) {
            if (split_.by_units)
                for (int i = thread; i < share_count(); i += count) shares_[i].pack(s_, weights, 0, 1);
            else
                shares_[0].pack(s_, weights, thread, count);
        });
        fill(bias_, T(0), work_size());
        cell_.prepare(s_, weights, bias_);
        fill(zeros_, T(0), s_.state > s_.hidden ? s_.state : s_.hidden);
    }

    void run(const RecurrentForward<T>& call) {
        places_.fill(s_.lengths, s_.time, split_.by_units ? 1 : split_.threads, counts_, sorted_);
        if (split_.by_units) {
            Rows<T> rows = rows_.from(0);
            start(call, rows, 0, s_.batch);
            for (int64_t step = 0; step < places_.longest; ++step) {
                enter(call, rows, 0, step);
                parallel(split_.threads, [&](int thread, int) { cell_.step(s_, call, rows, shares_[thread], bias_); });
                leave(rows);
            }
            finish(call, rows, 0, s_.batch);
            return;
        }
        parallel(split_.threads, [&](int thread, int) {
            const int64_t begin = places_.begin(thread), end = places_.begin(thread + 1);
            Rows<T> rows = rows_.from(begin);
            start(call, rows, begin, end);
            for (int64_t step = 0; step < places_.longest; ++step) {
                enter(call, rows, begin, step);
                if (rows.count == 0) break;
                cell_.step(s_, call, rows, shares_[0], bias_);
                leave(rows);
            }
            finish(call, rows, begin, end);
        });
    }

private:
    int64_t work_size() const {
        const int64_t saved = Cell<T>::saved_size(s_), gates = Cell<T>::gates * s_.hidden;
        return saved > gates ? saved : gates;
    }
    int share_count() const { return split_.by_units ? split_.threads : 1; }
    // Row b of an array of states, or zeros.
    const T* row_of(const T* states, int64_t b, int64_t width) const {
        return states != nullptr ? states + b * width : zeros_;
    }

    void start(const RecurrentForward<T>& call, Rows<T>& rows, int64_t begin, int64_t end) {
        rows.count = end - begin;
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t b = places_.row[begin + r];
            rows.batch[r] = b;
            rows.h[r] = row_of(call.h0, b, s_.state), rows.c[r] = row_of(call.c0, b, s_.hidden);
            rows.saved[r] = work_ + (begin + r) * width_;
        }
    }

    // Finds the data of the rows that run at this step.
    void enter(const RecurrentForward<T>& call, Rows<T>& rows, int64_t begin, int64_t step) {
        while (rows.count > 0 && places_.length[begin + rows.count - 1] <= step) --rows.count;
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t b = rows.batch[r], t = time_of(s_, places_.length[begin + r], step);
            rows.time[r] = t;
            if (call.x.data != nullptr) rows.x[r] = at(call.x, b, t);
            rows.out[r] = at(call.out, b, t);
            if (call.saved.data != nullptr) rows.saved[r] = at(call.saved, b, t);
            if (resets_at(s_, b, t)) {
                rows.h[r] = row_of(call.reset_h, b, s_.state);
                rows.c[r] = row_of(call.reset_c, b, s_.hidden);
            }
            rows.recurrent[r] = rows.h[r];
            if (!s_.masked) continue;
            T* const masked = masked_ + (begin + r) * s_.state;
            for (int64_t i = 0; i < s_.state; ++i) masked[i] = rows.h[r][i] * call.mask[b * s_.state + i];
            rows.recurrent[r] = masked;
        }
    }

    void leave(Rows<T>& rows) {
        for (int64_t r = 0; r < rows.count; ++r) {
            rows.h[r] = rows.out[r];
            if (Cell<T>::c_from(s_) >= 0) rows.c[r] = rows.saved[r] + Cell<T>::c_from(s_);
        }
    }

    void finish(const RecurrentForward<T>& call, Rows<T>& rows, int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
            const int64_t r = p - begin, b = places_.row[p];
            copy(call.hn + b * s_.state, rows.h[r], s_.state);
            if (call.cn != nullptr) copy(call.cn + b * s_.hidden, rows.c[r], s_.hidden);
            for (int64_t t = places_.length[p]; t < s_.time; ++t) fill(at(call.out, b, t), T(0), s_.state);
        }
    }

    const RecurrentSizes& s_;
    Split split_;
    Cell<T> cell_;
    Places places_;
    Rows<T> rows_;
    Share<T>* shares_;
    int64_t *counts_, *sorted_, width_;
    T *zeros_, *bias_, *work_, *masked_;
    size_t bytes_;
};

}  // namespace rnnkit::RNNKIT_FAMILY
