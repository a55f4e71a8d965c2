// Logarithms of sums of exponentials, as softmax and its logarithm need them, for one CPU family (see simd.h).
#pragma once

#include "simd.h"

namespace rnnkit::RNNKIT_FAMILY {

template <class T>
constexpr T never = -__builtin_inf();

// Joins the lanes in pairs, then the pairs, and so on.
template <class T, class F>
RNNKIT_INLINE T join_lanes(vec<T> v, F&& f) {
    T each[lanes<T>];
    store(each, v);
#pragma GCC unroll 8
    for (int half = lanes<T> / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; ++i) each[i] = f(each[i], each[i + half]);
    return each[0];
}

// The largest of n numbers; NaN is passed over.
template <class T>
T largest_of(const T* x, int64_t n) {
    T largest = x[0];
    int64_t i = 0;
    if (n >= lanes<T>) {
        vec<T> most = load(x);
        for (; i + lanes<T> <= n; i += lanes<T>) {
            const vec<T> value = load(x + i);
            most = value > most ? value : most;
        }
        largest = join_lanes<T>(most, [](T a, T b) { return b > a || !(a == a) ? b : a; });
    }
    for (; i < n; ++i) largest = x[i] > largest || !(largest == largest) ? x[i] : largest;
    return largest;
}

// e^(x − largest), exactly 0 for −∞; NaN stays NaN.
template <class T>
RNNKIT_INLINE vec<T> exponential(vec<T> x, T largest) {
    return x == splat(never<T>) ? vec<T>{} : exp<T>(x - largest);
}

// ln Σ e^(x − largest) of n numbers, whose largest is known; NaN where one is NaN or +∞, −∞ where all are −∞. Sums of
// 32 vectors are added in double precision.
template <class T>
double log_of_sum(const T* x, T largest, int64_t n) {
    constexpr int64_t block = 32 * lanes<T>;
    double total = 0;
    for (int64_t begin = 0; begin < n; begin += block) {
        const int64_t end = n - begin < block ? n : begin + block;
        vec<T> sum{};
        int64_t i = begin;
        for (; i + lanes<T> <= end; i += lanes<T>) sum += exponential(load(x + i), largest);
        total += static_cast<double>(join_lanes<T>(sum, [](T a, T b) { return a + b; }));
        if (i < end) {
            T each[lanes<T>];
            store(each, exponential(load_first(x + i, static_cast<int>(end - i)), largest));
            for (int64_t lane = 0; lane < end - i; ++lane) total += static_cast<double>(each[lane]);
        }
    }
    return __builtin_log(total);
}

}  // namespace rnnkit::RNNKIT_FAMILY
