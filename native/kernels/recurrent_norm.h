// Layer normalisation of a row, y = shift + gain ⊙ (a − mean) · scale with scale = 1 / √(variance + ε), and its way
// back.
#pragma once

#include "../common/simd.h"

namespace rnnkit::RNNKIT_FAMILY {

constexpr double norm_epsilon = 1e-5;

// The sum of all lanes, by halves.
template <class T>
RNNKIT_INLINE T sum_of(vec<T> v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return _mm512_reduce_add_ps((__m512)v);
    else
        return _mm512_reduce_add_pd((__m512d)v);
#else
    T part[lanes<T>];
    store(part, v);
    for (int half = lanes<T> / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) part[i] += part[i + half];
    return part[0];
#endif
}
RNNKIT_INLINE float root(float v) { return __builtin_sqrtf(v); }
RNNKIT_INLINE double root(double v) { return __builtin_sqrt(v); }

template <class T>
struct Moments {
    T mean, scale;

    static RNNKIT_INLINE Moments read(const T* from) { return {from[0], from[1]}; }
    RNNKIT_INLINE void write(T* to) const { to[0] = mean, to[1] = scale; }

    // Four sums side by side: one would wait for itself.
    static Moments of(const T* a, int64_t n) {
        constexpr int64_t block = 4 * lanes<T>;
        const int64_t whole = n / block * block;
        vec<T> totals[4] = {}, squares[4] = {};
        for (int64_t i = 0; i < whole; i += block)
            for (int k = 0; k < 4; ++k) totals[k] += load(a + i + k * lanes<T>);
        for (int64_t i = whole; i < n; i += lanes<T>) totals[0] += load_upto(a + i, n - i);
        const T mean = sum_of<T>((totals[0] + totals[1]) + (totals[2] + totals[3])) / static_cast<T>(n);
        for (int64_t i = 0; i < whole; i += block)
            for (int k = 0; k < 4; ++k) {
                const vec<T> d = load(a + i + k * lanes<T>) - mean;
                squares[k] += d * d;
            }
        T square = sum_of<T>((squares[0] + squares[1]) + (squares[2] + squares[3]));
        for (int64_t i = whole; i < n; ++i) square += (a[i] - mean) * (a[i] - mean);
        return {mean, T(1) / root(square / static_cast<T>(n) + static_cast<T>(norm_epsilon))};
    }
};

// A row `a` that is normalised.
template <class T>
struct NormInput {
    const T* a;
    Moments<T> moments;
    const T* gain;

    RNNKIT_INLINE NormInput from(int64_t i) const { return {a + i, moments, gain + i}; }
};

// y = shift + gain ⊙ normalised a.
template <class T>
void normalise(NormInput<T> input, const T* shift, T* y, int64_t n) {
    for (int64_t i = 0; i < n; i += lanes<T>) {
        const int64_t left = n - i;
        const vec<T> normal = (load_upto(input.a + i, left) - input.moments.mean) * input.moments.scale;
        store_upto(y + i, load_upto(shift + i, left) + load_upto(input.gain + i, left) * normal, left);
    }
}

// y = shift + both: the product with the input and the product with the state.
template <class T>
void normalise_both(NormInput<T> x, NormInput<T> h, const T* shift, T* y, int64_t n) {
    for (int64_t i = 0; i < n; i += lanes<T>) {
        const int64_t left = n - i;
        const vec<T> from_x =
            load_upto(x.gain + i, left) * ((load_upto(x.a + i, left) - x.moments.mean) * x.moments.scale);
        const vec<T> from_h =
            load_upto(h.gain + i, left) * ((load_upto(h.a + i, left) - h.moments.mean) * h.moments.scale);
        store_upto(y + i, load_upto(shift + i, left) + from_x + from_h, left);
    }
}

// From dy to da (which may be the same memory). Adds to dgain, and to dshift where it is not null.
template <class T>
void normalise_backward(NormInput<T> input, const T* dy, T* da, T* dgain, T* dshift, int64_t n) {
    const T *const a = input.a, *const gain = input.gain;
    const Moments<T> m = input.moments;
    vec<T> total{}, product{};
    for (int64_t i = 0; i < n; i += lanes<T>) {
        const int64_t left = n - i;
        const vec<T> normal = (load_upto(a + i, left) - m.mean) * m.scale, d = load_upto(dy + i, left);
        store_upto(dgain + i, load_upto(dgain + i, left) + d * normal, left);
        if (dshift != nullptr) store_upto(dshift + i, load_upto(dshift + i, left) + d, left);
        const vec<T> scaled = d * load_upto(gain + i, left);  // 0 behind the end
        total += scaled, product += scaled * normal;
    }
    const T mean = sum_of<T>(total) / static_cast<T>(n);
    const T slope = sum_of<T>(product) / static_cast<T>(n);
    for (int64_t i = 0; i < n; i += lanes<T>) {
        const int64_t left = n - i;
        const vec<T> normal = (load_upto(a + i, left) - m.mean) * m.scale;
        store_upto(da + i, m.scale * (load_upto(dy + i, left) * load_upto(gain + i, left) - mean - normal * slope),
                   left);
    }
}

}  // namespace rnnkit::RNNKIT_FAMILY
