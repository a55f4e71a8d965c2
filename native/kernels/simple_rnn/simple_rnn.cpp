// Compiled once per CPU family, with RNNKIT_FAMILY set to its name. README.md has the equations and the measurements.
#include "simple_rnn.h"

#include "../../common/parallel.h"
#include "../../common/rows.h"
#include "../../common/tile.h"

namespace rnnkit::RNNKIT_FAMILY {

namespace {

// Floating-point operations under which a second thread costs more than it brings.
constexpr double flops_per_thread = 4e5;

// Pairs of rows that the weight gradients take in one sweep: their right operands stay in the first-level cache.
constexpr int64_t sweep = 128;

int threads_for(const SimpleRnnSizes& s) {
    const double flops = 2.0 * static_cast<double>(s.batch * s.time * s.hidden) * static_cast<double>(s.input + s.hidden);
    int64_t threads = smaller(s.threads, 1 + static_cast<int64_t>(flops / flops_per_thread));
    threads = smaller(threads, s.batch);
    return static_cast<int>(threads < 1 ? 1 : threads);
}

template <class T>
struct Scratch {
    Places places;
    int64_t *counts, *sorted;
    T *zeros, *bias, *packed_w, *packed_u, *dh, *dw_transposed;
    const T **first, **second;
    T** third;
    size_t bytes;

    Scratch(const SimpleRnnSizes& s, void* base) {
        const int64_t padded = Panels<T>(s.hidden).padded();
        Arena arena(base);
        places.take(arena, s.batch);
        counts = arena.take<int64_t>(s.lengths != nullptr ? s.time + 1 : 0);
        sorted = arena.take<int64_t>(s.batch);
        zeros = arena.take<T>(padded);
        bias = arena.take<T>(padded);
        packed_w = arena.take<T>(padded * s.input);
        packed_u = arena.take<T>(padded * s.hidden);
        dh = arena.take<T>(padded * s.batch);
        dw_transposed = arena.take<T>(s.input * s.hidden);
        first = arena.take<const T*>(s.batch);
        second = arena.take<const T*>(s.batch);
        third = arena.take<T*>(s.batch);
        bytes = arena.used();
    }
};

template <class T>
RNNKIT_INLINE T* at(const Strided<T>& array, int64_t b, int64_t t) {
    return array.data + b * array.batch + t * array.time;
}

// The time step that a row of this length takes at its s-th step.
RNNKIT_INLINE int64_t time_of(const SimpleRnnSizes& sizes, int64_t length, int64_t s) {
    return sizes.reverse ? length - 1 - s : s;
}

RNNKIT_INLINE bool resets_at(const SimpleRnnSizes& sizes, int64_t b, int64_t t) {
    return sizes.resets.data != nullptr && *at(sizes.resets, b, t) != 0;
}

template <class T>
RNNKIT_INLINE void fill(T* p, T value, int64_t n) {
    for (int64_t i = 0; i < n; ++i) p[i] = value;
}
template <class T>
RNNKIT_INLINE void copy(T* to, const T* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}

// σ in place. NaN stays NaN.
template <class T>
void activate(Nonlinearity kind, T* row, int64_t n) {
    const auto each = [&](auto&& f) __attribute__((always_inline)) {
        for (int64_t i = 0; i < n; i += lanes<T>) store_upto(row + i, f(load_upto(row + i, n - i)), n - i);
    };
    if (kind == Nonlinearity::relu)
        each([](vec<T> v) __attribute__((always_inline)) { return v < T(0) ? vec<T>{} : v; });
    else if (kind == Nonlinearity::tanh)
        each([](vec<T> v) __attribute__((always_inline)) { return tanh<T>(v); });
    else
        each([](vec<T> v) __attribute__((always_inline)) { return sigmoid<T>(v); });
}

// dpre = (dh + dout) · σ'(pre), with σ' written in terms of the output h.
template <class T>
void differentiate(Nonlinearity kind, const T* h, const T* dh, const T* dout, T* dpre, int64_t n) {
    const auto each = [&](auto&& derivative) __attribute__((always_inline)) {
        for (int64_t i = 0; i < n; i += lanes<T>) {
            vec<T> d = load_upto(dh + i, n - i);
            if (dout != nullptr) d += load_upto(dout + i, n - i);
            store_upto(dpre + i, derivative(d, load_upto(h + i, n - i)), n - i);
        }
    };
    if (kind == Nonlinearity::relu)
        each([](vec<T> d, vec<T> h) __attribute__((always_inline)) { return h > T(0) ? d : vec<T>{}; });
    else if (kind == Nonlinearity::tanh)
        each([](vec<T> d, vec<T> h) __attribute__((always_inline)) { return d * (T(1) - h * h); });
    else
        each([](vec<T> d, vec<T> h) __attribute__((always_inline)) { return d * (h * (T(1) - h)); });
}

template <class T>
void forward(const SimpleRnnSizes& sizes, const SimpleRnnForward<T>& call) {
    const int64_t H = sizes.hidden;
    const Panels<T> panels(H);
    Scratch<T> scratch(sizes, call.scratch);
    const int threads = threads_for(sizes);
    scratch.places.fill(sizes.lengths, sizes.time, threads, scratch.counts, scratch.sorted);
    fill(scratch.zeros, T(0), panels.padded());
    fill(scratch.bias, T(0), panels.padded());
    for (const T* bias : call.bias)
        if (bias != nullptr)
            for (int64_t i = 0; i < H; ++i) scratch.bias[i] += bias[i];

    parallel(threads, [&](int thread, int count) {
        for (int64_t p = thread; p < panels.count; p += count) {
            const int64_t column = panels.start(p) * lanes<T>;
            pack_panel(panels, p, call.w, sizes.input, true, sizes.input, scratch.packed_w + column * sizes.input);
            pack_panel(panels, p, call.u, H, true, H, scratch.packed_u + column * H);
        }
    });

    parallel(threads, [&](int thread, int) {
        const Places& places = scratch.places;
        const int64_t begin = places.begin(thread), end = places.begin(thread + 1);
        const T **input = scratch.first + begin, **previous = scratch.second + begin;
        T** const output = scratch.third + begin;
        const auto initial = [&](int64_t b) { return call.h0 != nullptr ? call.h0 + b * H : scratch.zeros; };
        int64_t active = end - begin;
        for (int64_t p = begin; p < end; ++p) previous[p - begin] = initial(places.row[p]);

        for (int64_t s = 0; s < places.longest; ++s) {
            while (active > 0 && places.length[begin + active - 1] <= s) --active;
            if (active == 0) break;
            for (int64_t r = 0; r < active; ++r) {
                const int64_t b = places.row[begin + r], t = time_of(sizes, places.length[begin + r], s);
                input[r] = at(call.x, b, t);
                output[r] = at(call.out, b, t);
                if (resets_at(sizes, b, t)) previous[r] = initial(b);
            }
            const Segment<T> segments[] = {{input, scratch.packed_w, sizes.input}, {previous, scratch.packed_u, H}};
            multiply_rows(panels, active, segments, scratch.bias, output);
            for (int64_t r = 0; r < active; ++r) {
                activate(sizes.nonlinearity, output[r], H);
                previous[r] = output[r];
            }
        }
        for (int64_t p = begin; p < end; ++p) {
            const int64_t b = places.row[p];
            copy(call.hn + b * H, previous[p - begin], H);
            for (int64_t t = places.length[p]; t < sizes.time; ++t) fill(at(call.out, b, t), T(0), H);
        }
    });
}

// dW, dU and db from dpre: sums over all valid steps, in one order whatever the number of threads.
template <class T>
class WeightGradients {
public:
    WeightGradients(const SimpleRnnSizes& sizes, const SimpleRnnBackward<T>& call, const Scratch<T>& scratch)
        : sizes_(sizes), call_(call), scratch_(scratch) {
        // With the hidden units along the vectors a narrow input wastes no lanes.
        const int64_t I = sizes.input, H = sizes.hidden;
        transpose_w_ = I * Panels<T>(H).vectors <= H * Panels<T>(I).vectors;
    }

    void run(int thread, int threads) {
        const int64_t H = sizes_.hidden, I = sizes_.input;
        const T *steps[sweep], *inputs[sweep], *carried[sweep], *states[sweep];
        const int64_t u_tiles = outer_tiles<T>(H, H);
        const int64_t w_tiles = transpose_w_ ? outer_tiles<T>(I, H) : outer_tiles<T>(H, I);
        T* const w_sum = transpose_w_ ? scratch_.dw_transposed : call_.dw;
        const auto from = [&](int64_t total) { return share_begin(total, threads, thread); };
        const auto upto = [&](int64_t total) { return share_begin(total, threads, thread + 1); };
        const int64_t bias_from = from(H), bias_upto = upto(H);
        if (call_.db != nullptr) fill(call_.db + bias_from, T(0), bias_upto - bias_from);

        int64_t row = 0, s = 0;
        bool first = true;
        do {
            int64_t count = 0, with_state = 0;
            // The next pairs (step, row); rows that ended are passed over.
            while (count < sweep && s < scratch_.places.longest) {
                if (row == sizes_.batch) {
                    row = 0, ++s;
                    continue;
                }
                const int64_t b = row++, length = sizes_.lengths != nullptr ? sizes_.lengths[b] : sizes_.time;
                if (length <= s) continue;
                const int64_t t = time_of(sizes_, length, s);
                steps[count] = at(call_.dpre, b, t);
                if (call_.dw != nullptr) inputs[count] = at(call_.x, b, t);
                const T* state = call_.h0 != nullptr ? call_.h0 + b * H : nullptr;
                if (s > 0 && !resets_at(sizes_, b, t)) state = at(call_.out, b, sizes_.reverse ? t + 1 : t - 1);
                if (state != nullptr) carried[with_state] = steps[count], states[with_state++] = state;
                ++count;
            }
            if (call_.du != nullptr)
                outer_product(carried, H, states, H, with_state, call_.du, first, from(u_tiles), upto(u_tiles));
            if (call_.dw != nullptr && transpose_w_)
                outer_product(inputs, I, steps, H, count, w_sum, first, from(w_tiles), upto(w_tiles));
            else if (call_.dw != nullptr)
                outer_product(steps, H, inputs, I, count, w_sum, first, from(w_tiles), upto(w_tiles));
            if (call_.db != nullptr)
                for (int64_t k = 0; k < count; ++k)
                    for (int64_t i = bias_from; i < bias_upto; ++i) call_.db[i] += steps[k][i];
            first = false;
        } while (s < scratch_.places.longest);
    }

    // After all threads have run.
    void finish() {
        if (call_.dw == nullptr || !transpose_w_) return;
        for (int64_t h = 0; h < sizes_.hidden; ++h)
            for (int64_t i = 0; i < sizes_.input; ++i)
                call_.dw[h * sizes_.input + i] = scratch_.dw_transposed[i * sizes_.hidden + h];
    }

private:
    const SimpleRnnSizes& sizes_;
    const SimpleRnnBackward<T>& call_;
    const Scratch<T>& scratch_;
    bool transpose_w_;
};

template <class T>
void backward(const SimpleRnnSizes& sizes, const SimpleRnnBackward<T>& call) {
    const int64_t H = sizes.hidden;
    const Panels<T> panels(H);
    const int64_t padded = panels.padded();
    Scratch<T> scratch(sizes, call.scratch);
    const int threads = threads_for(sizes);
    scratch.places.fill(sizes.lengths, sizes.time, threads, scratch.counts, scratch.sorted);

    parallel(threads, [&](int thread, int count) {
        for (int64_t p = thread; p < panels.count; p += count)
            pack_panel(panels, p, call.u, H, false, H, scratch.packed_u + panels.start(p) * lanes<T> * H);
    });

    parallel(threads, [&](int thread, int) {
        const Places& places = scratch.places;
        const int64_t begin = places.begin(thread), end = places.begin(thread + 1);
        const T** const step = scratch.first + begin;
        T** const carry = scratch.third + begin;  // gradient that reaches the row's state from later steps
        for (int64_t r = 0; r < end - begin; ++r) {
            const int64_t b = places.row[begin + r];
            carry[r] = scratch.dh + (begin + r) * padded;
            if (call.dhn != nullptr)
                copy(carry[r], call.dhn + b * H, H);
            else
                fill(carry[r], T(0), H);
            if (call.dh0 != nullptr) fill(call.dh0 + b * H, T(0), H);
            for (int64_t t = places.length[begin + r]; t < sizes.time; ++t) fill(at(call.dpre, b, t), T(0), H);
        }
        const auto reach_initial = [&](int64_t r) {
            T* const dh0 = call.dh0 + places.row[begin + r] * H;
            for (int64_t i = 0; i < H; ++i) dh0[i] += carry[r][i];
        };

        int64_t active = 0;
        for (int64_t s = places.longest - 1; s >= 0; --s) {
            while (active < end - begin && places.length[begin + active] > s) ++active;
            for (int64_t r = 0; r < active; ++r) {
                const int64_t b = places.row[begin + r], t = time_of(sizes, places.length[begin + r], s);
                T* const dpre = at(call.dpre, b, t);
                differentiate(sizes.nonlinearity, static_cast<const T*>(at(call.out, b, t)), carry[r],
                              call.dout.data != nullptr ? at(call.dout, b, t) : nullptr, dpre, H);
                step[r] = dpre;
            }
            if (s == 0 && call.dh0 == nullptr) break;
            const Segment<T> segments[] = {{step, scratch.packed_u, H}};
            multiply_rows(panels, active, segments, static_cast<const T*>(nullptr), carry);
            if (sizes.resets.data == nullptr) continue;
            for (int64_t r = 0; r < active; ++r) {
                if (!resets_at(sizes, places.row[begin + r], time_of(sizes, places.length[begin + r], s))) continue;
                if (call.dh0 != nullptr) reach_initial(r);
                fill(carry[r], T(0), H);
            }
        }
        if (call.dh0 != nullptr)
            for (int64_t r = 0; r < end - begin; ++r) reach_initial(r);
    });

    if (call.dw == nullptr && call.du == nullptr && call.db == nullptr) return;
    WeightGradients<T> gradients(sizes, call, scratch);
    parallel(threads, [&](int thread, int count) { gradients.run(thread, count); });
    gradients.finish();
}

}  // namespace

size_t simple_rnn_scratch(const SimpleRnnSizes& sizes, size_t element) {
    return element == sizeof(float) ? Scratch<float>(sizes, nullptr).bytes : Scratch<double>(sizes, nullptr).bytes;
}
void simple_rnn_forward(const SimpleRnnSizes& sizes, const SimpleRnnForward<float>& call) { forward(sizes, call); }
void simple_rnn_forward(const SimpleRnnSizes& sizes, const SimpleRnnForward<double>& call) { forward(sizes, call); }
void simple_rnn_backward(const SimpleRnnSizes& sizes, const SimpleRnnBackward<float>& call) { backward(sizes, call); }
void simple_rnn_backward(const SimpleRnnSizes& sizes, const SimpleRnnBackward<double>& call) { backward(sizes, call); }

}  // namespace rnnkit::RNNKIT_FAMILY
