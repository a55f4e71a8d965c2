// Compiled once per CPU family, with RNNKIT_FAMILY set to its name. README.md has the equations and the measurements.
#include "simple_rnn.h"

#include "../../common/parallel.h"
#include "../../common/rows.h"
#include "../../common/tile.h"

namespace rnnkit::RNNKIT_FAMILY {

namespace {

// Floating-point operations of a forward call for each thread: measured on two cores, one thread is as fast up to 1.7
// million, and two are 1.5 times faster at 5.
constexpr double flops_per_thread = 1.5e6;

// Weights under which packing them, and adding up their gradients, is done by the caller alone: a few microseconds,
// less than another meeting of the threads costs where something else wants the cores too.
constexpr int64_t serial_weights = 1 << 17;

// Pairs of rows that the weight gradients take in one sweep: their right operands stay in the first-level cache.
constexpr int64_t sweep = 128;

int threads_for(const SimpleRnnSizes& s) {
    const double flops = 2.0 * static_cast<double>(s.batch * s.time * s.hidden) * static_cast<double>(s.input + s.hidden);
    int64_t threads = smaller(s.threads, 1 + static_cast<int64_t>(flops / flops_per_thread));
    threads = smaller(threads, s.batch);
    return static_cast<int>(threads < 1 ? 1 : threads);
}

// What one thread gathers of dW, dU and db.
int64_t gradient_size(const SimpleRnnSizes& s) { return s.hidden * (s.input + s.hidden + 1); }

int threads_for_weights(const SimpleRnnSizes& s) {
    return s.hidden * (s.input + s.hidden) < serial_weights ? 1 : threads_for(s);
}

template <class T>
struct Scratch {
    Places places;
    int64_t *counts, *sorted;
    T *zeros, *bias, *packed_w, *packed_u, *dh, *gradients;
    const T **read, **previous;  // row pointers at the step at hand, by place
    T** written;
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
        gradients = arena.take<T>(threads_for(s) * gradient_size(s));
        read = arena.take<const T*>(s.batch);
        previous = arena.take<const T*>(s.batch);
        written = arena.take<T*>(s.batch);
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

    parallel(threads_for_weights(sizes), [&](int thread, int count) {
        for (int64_t p = thread; p < panels.count; p += count) {
            const int64_t column = panels.start(p) * lanes<T>;
            pack_panel(panels, p, call.w, sizes.input, true, sizes.input, scratch.packed_w + column * sizes.input);
            pack_panel(panels, p, call.u, H, true, H, scratch.packed_u + column * H);
        }
    });

    parallel(threads, [&](int thread, int) {
        const Places& places = scratch.places;
        const int64_t begin = places.begin(thread), end = places.begin(thread + 1);
        const T **input = scratch.read + begin, **previous = scratch.previous + begin;
        T** const output = scratch.written + begin;
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

// One thread's share of dW, dU and db: the steps of its own rows, gathered while they are still in the cache. The sum
// runs in the order in which steps arrive, so it is the same from run to run at a fixed number of threads.
template <class T>
class WeightGradients {
public:
    WeightGradients(const SimpleRnnSizes& sizes, const SimpleRnnBackward<T>& call, T* memory)
        : sizes_(sizes), call_(call), dw_(memory), du_(dw_ + sizes.input * sizes.hidden),
          db_(du_ + sizes.hidden * sizes.hidden) {
        fill(db_, T(0), sizes.hidden);
    }

    // With the hidden units along the vectors a narrow input wastes no lanes; dW is then gathered as [I, H].
    static bool transposed(const SimpleRnnSizes& sizes) {
        return sizes.input * Panels<T>(sizes.hidden).vectors <= sizes.hidden * Panels<T>(sizes.input).vectors;
    }

    // A step whose gradient before the nonlinearity is `dpre`; `state` is what it started from, null for zeros.
    void add(const T* dpre, const T* input, const T* state) {
        steps_[count_] = dpre, inputs_[count_++] = input;
        if (state != nullptr) carried_[with_state_] = dpre, states_[with_state_++] = state;
        if (count_ == sweep) flush();
    }

    void flush() {
        const int64_t I = sizes_.input, H = sizes_.hidden;
        if (call_.du != nullptr) outer_product(carried_, H, states_, H, with_state_, du_, first_);
        if (call_.dw != nullptr && transposed(sizes_))
            outer_product(inputs_, I, steps_, H, count_, dw_, first_);
        else if (call_.dw != nullptr)
            outer_product(steps_, H, inputs_, I, count_, dw_, first_);
        for (int64_t k = 0; call_.db != nullptr && k < count_; ++k)
            for (int64_t i = 0; i < H; ++i) db_[i] += steps_[k][i];
        first_ = false;
        count_ = with_state_ = 0;
    }

private:
    const SimpleRnnSizes& sizes_;
    const SimpleRnnBackward<T>& call_;
    T *dw_, *du_, *db_;
    bool first_ = true;
    int64_t count_ = 0, with_state_ = 0;
    const T *steps_[sweep], *inputs_[sweep], *carried_[sweep], *states_[sweep];
};

// Adds up the threads' shares for hidden units [begin, end), in the order of the threads.
template <class T>
void add_shares(const SimpleRnnSizes& sizes, const SimpleRnnBackward<T>& call, const T* shares, int count,
                int64_t begin, int64_t end) {
    const int64_t I = sizes.input, H = sizes.hidden, size = gradient_size(sizes);
    // to[i] = Σ over shares of what they hold behind `place`.
    const auto total = [&](T* to, int64_t place, int64_t n) {
        copy(to, shares + place, n);
        for (int share = 1; share < count; ++share)
            for (int64_t i = 0; i < n; ++i) to[i] += shares[share * size + place + i];
    };
    const int64_t units = end - begin;
    if (call.du != nullptr) total(call.du + begin * H, I * H + begin * H, units * H);
    if (call.db != nullptr) total(call.db + begin, I * H + H * H + begin, units);
    if (call.dw == nullptr) return;
    if (!WeightGradients<T>::transposed(sizes)) return total(call.dw + begin * I, begin * I, units * I);
    for (int64_t i = 0; i < I; ++i)
        for (int64_t h = begin; h < end; ++h) {
            T sum = shares[i * H + h];
            for (int share = 1; share < count; ++share) sum += shares[share * size + i * H + h];
            call.dw[h * I + i] = sum;
        }
}

template <class T>
void backward(const SimpleRnnSizes& sizes, const SimpleRnnBackward<T>& call) {
    const int64_t H = sizes.hidden;
    const Panels<T> panels(H);
    const int64_t padded = panels.padded();
    Scratch<T> scratch(sizes, call.scratch);
    const int threads = threads_for(sizes);
    scratch.places.fill(sizes.lengths, sizes.time, threads, scratch.counts, scratch.sorted);

    const bool with_weights = call.dw != nullptr || call.du != nullptr || call.db != nullptr;

    parallel(threads_for_weights(sizes), [&](int thread, int count) {
        for (int64_t p = thread; p < panels.count; p += count)
            pack_panel(panels, p, call.u, H, false, H, scratch.packed_u + panels.start(p) * lanes<T> * H);
    });

    parallel(threads, [&](int thread, int) {
        const Places& places = scratch.places;
        const int64_t begin = places.begin(thread), end = places.begin(thread + 1);
        const T** const step = scratch.read + begin;
        T** const carry = scratch.written + begin;  // gradient that reaches the row's state from later steps
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

        WeightGradients<T> gradients(sizes, call, scratch.gradients + thread * gradient_size(sizes));
        int64_t active = 0;
        for (int64_t s = places.longest - 1; s >= 0; --s) {
            while (active < end - begin && places.length[begin + active] > s) ++active;
            for (int64_t r = 0; r < active; ++r) {
                const int64_t b = places.row[begin + r], t = time_of(sizes, places.length[begin + r], s);
                T* const dpre = at(call.dpre, b, t);
                differentiate(sizes.nonlinearity, static_cast<const T*>(at(call.out, b, t)), carry[r],
                              call.dout.data != nullptr ? at(call.dout, b, t) : nullptr, dpre, H);
                step[r] = dpre;
                if (!with_weights) continue;
                const T* state = call.h0 != nullptr ? call.h0 + b * H : nullptr;
                if (s > 0 && !resets_at(sizes, b, t)) state = at(call.out, b, sizes.reverse ? t + 1 : t - 1);
                gradients.add(dpre, call.dw != nullptr ? at(call.x, b, t) : nullptr, state);
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
        if (with_weights) gradients.flush();
    });

    if (with_weights)
        parallel(threads_for_weights(sizes), [&](int thread, int count) {
            const int64_t begin = share_begin(H, count, thread), end = share_begin(H, count, thread + 1);
            add_shares(sizes, call, scratch.gradients, threads, begin, end);
        });
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
