// Layer normalisation of a row, y = shift + gain ⊙ (a − mean) · scale with scale = 1 / √(variance + ε), and its way back.
#pragma once

#include "../common/simd.h"

namespace rnnkit::RNNKIT_FAMILY {

constexpr double norm_epsilon = 1e-5;

template <class T>
RNNKIT_INLINE T sum_of(vec<T> v) {
    T total = 0;
    for (int i = 0; i < lanes<T>; ++i) total += v[i];
    return total;
}
RNNKIT_INLINE float root(float v) { return __builtin_sqrtf(v); }
RNNKIT_INLINE double root(double v) { return __builtin_sqrt(v); }

template <class T>
struct Moments {
    T mean, scale;

    static Moments of(const T* a, int64_t n) {
        vec<T> total{}, squares{};
        for (int64_t i = 0; i < n; i += lanes<T>) total += load_upto(a + i, n - i);
        const T mean = sum_of<T>(total) / static_cast<T>(n);
        int64_t i = 0;
        for (; i + lanes<T> <= n; i += lanes<T>) {
            const vec<T> d = load(a + i) - mean;
            squares += d * d;
        }
        T square = sum_of<T>(squares);
        for (; i < n; ++i) square += (a[i] - mean) * (a[i] - mean);
        return {mean, T(1) / root(square / static_cast<T>(n) + static_cast<T>(norm_epsilon))};
    }
};

// y = shift + gain ⊙ normalised a (+ plus).
template <class T>
void normalise(const T* a, Moments<T> m, const T* gain, const T* shift, const T* plus, T* y, int64_t n) {
    for (int64_t i = 0; i < n; i += lanes<T>) {
        const int64_t left = n - i;
        vec<T> v = load_upto(gain + i, left) * ((load_upto(a + i, left) - m.mean) * m.scale);
        if (shift != nullptr) v += load_upto(shift + i, left);
        if (plus != nullptr) v += load_upto(plus + i, left);
        store_upto(y + i, v, left);
    }
}

// dy becomes da in place; dgain and dshift gather.
template <class T>
void denormalise(const T* a, Moments<T> m, const T* gain, T* dy, T* dgain, T* dshift, int64_t n) {
    vec<T> total{}, product{};
    for (int64_t i = 0; i < n; i += lanes<T>) {
        const int64_t left = n - i;
        const vec<T> normal = (load_upto(a + i, left) - m.mean) * m.scale, d = load_upto(dy + i, left);
        store_upto(dgain + i, load_upto(dgain + i, left) + d * normal, left);
        store_upto(dshift + i, load_upto(dshift + i, left) + d, left);
        const vec<T> scaled = d * load_upto(gain + i, left);  // 0 behind the end
        total += scaled, product += scaled * normal;
    }
    const T mean = sum_of<T>(total) / static_cast<T>(n), slope = sum_of<T>(product) / static_cast<T>(n);
    for (int64_t i = 0; i < n; i += lanes<T>) {
        const int64_t left = n - i;
        const vec<T> normal = (load_upto(a + i, left) - m.mean) * m.scale;
        store_upto(dy + i, m.scale * (load_upto(dy + i, left) * load_upto(gain + i, left) - mean - normal * slope), left);
    }
}

}  // namespace rnnkit::RNNKIT_FAMILY
