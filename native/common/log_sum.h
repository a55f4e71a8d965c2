// Logarithms of sums of exponentials, as softmax and its logarithm need them, for one CPU family (see simd.h).
#pragma once

#include "simd.h"

namespace rnnkit::RNNKIT_FAMILY {

template <class T>
constexpr T never = -__builtin_inf();

// N numbers, joined by f(one half, the other half), and so on. Without branches where f has none.
template <int N, class V, class F>
RNNKIT_INLINE auto join_lanes(const V& v, F&& f) {
    if constexpr (N <= 4) {
        auto joined = v[0];
#pragma GCC unroll 4
        for (int i = 1; i < N; ++i) joined = f(joined, v[i]);
        return joined;
    } else {
        typedef decltype(v[0] + v[0]) T;
        typedef T half __attribute__((vector_size(N / 2 * sizeof(T))));
        half parts[2];
        __builtin_memcpy(parts, &v, sizeof(v));
        return join_lanes<N / 2>(f(parts[0], parts[1]), f);
    }
}

// The largest of n numbers; NaN or the largest of the others where one is NaN.
template <class T>
T largest_of(const T* x, int64_t n) {
    const auto larger = [](auto a, auto b) { return b > a ? b : a; };
    T largest = x[0];
    if (n < lanes<T>) {
        for (int64_t i = 1; i < n; ++i) largest = larger(largest, x[i]);
        return largest;
    }
    vec<T> most = load(x + n - lanes<T>);
    for (int64_t i = 0; i + lanes<T> < n; i += lanes<T>) most = larger(most, load(x + i));
    return join_lanes<lanes<T>>(most, larger);
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
        total += static_cast<double>(join_lanes<lanes<T>>(sum, [](auto a, auto b) { return a + b; }));
        if (i < end) {
            T each[lanes<T>];
            store(each, exponential(load_first(x + i, static_cast<int>(end - i)), largest));
            for (int64_t lane = 0; lane < end - i; ++lane) total += static_cast<double>(each[lane]);
        }
    }
    return __builtin_log(total);
}

}  // namespace rnnkit::RNNKIT_FAMILY
