// Vectors in the compiler's own extensions, for the instruction set that this unit is compiled for.
//
// Included only by sources that are compiled once per CPU family, each with RNNKIT_FAMILY naming a namespace of its
// own: nothing here may be shared between families, or the linker could keep the AVX-512 copy for all of them. For the
// same reason no header of the standard library with templates or inline functions is included.
#pragma once

#include <stdint.h>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#define RNNKIT_INLINE inline __attribute__((always_inline))
// One copy for all callers: GCC would make one for each kernel, with its arguments taken apart.
#if defined(__clang__)
#define RNNKIT_ONE_COPY
#else
#define RNNKIT_ONE_COPY __attribute__((noclone))
#endif

namespace rnnkit::RNNKIT_FAMILY {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int registers = 32;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
constexpr int registers = 16;
#elif defined(__aarch64__)
constexpr int vector_bytes = 16;
constexpr int registers = 32;
#else
constexpr int vector_bytes = 16;
constexpr int registers = 16;
#endif

template <class T>
struct Simd;
template <>
struct Simd<float> {
    typedef float vec __attribute__((vector_size(vector_bytes)));
    typedef float unaligned __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
    typedef int32_t bits __attribute__((vector_size(vector_bytes)));
    static constexpr int mantissa = 23, bias = 127;
    static constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    static constexpr float ln2_hi = 0.693359375f, ln2_lo = -2.12194440e-4f;
    static constexpr float exp_low = -87.0f, exp_high = 88.0f;
};
template <>
struct Simd<double> {
    typedef double vec __attribute__((vector_size(vector_bytes)));
    typedef double unaligned __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
    typedef int64_t bits __attribute__((vector_size(vector_bytes)));
    static constexpr int mantissa = 52, bias = 1023;
    static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double ln2_hi = 6.93145751953125e-1, ln2_lo = 1.42860682030941723212e-6;
    static constexpr double exp_low = -708.0, exp_high = 709.0;
};

template <class T>
using vec = typename Simd<T>::vec;

template <class T>
constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

template <class T>
RNNKIT_INLINE vec<T> splat(T value) {
    return value - vec<T>{};
}
template <class T>
RNNKIT_INLINE vec<T> load(const T* p) {
    return *reinterpret_cast<const typename Simd<T>::unaligned*>(p);
}
template <class T>
RNNKIT_INLINE void store(T* p, vec<T> v) {
    *reinterpret_cast<typename Simd<T>::unaligned*>(p) = v;
}

// The first n lanes, 0 < n < lanes; the others read as zero. Memory behind them is not touched.
#if defined(__AVX512F__)
RNNKIT_INLINE vec<float> load_first(const float* p, int n) {
    return (vec<float>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p);
}
RNNKIT_INLINE vec<double> load_first(const double* p, int n) {
    return (vec<double>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1u), p);
}
RNNKIT_INLINE void store_first(float* p, vec<float> v, int n) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), (__m512)v);
}
RNNKIT_INLINE void store_first(double* p, vec<double> v, int n) {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1u), (__m512d)v);
}
#elif defined(__AVX2__)
RNNKIT_INLINE __m256i first_lanes(int n, float) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
RNNKIT_INLINE __m256i first_lanes(int n, double) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
RNNKIT_INLINE vec<float> load_first(const float* p, int n) {
    return (vec<float>)_mm256_maskload_ps(p, first_lanes(n, 0.0f));
}
RNNKIT_INLINE vec<double> load_first(const double* p, int n) {
    return (vec<double>)_mm256_maskload_pd(p, first_lanes(n, 0.0));
}
RNNKIT_INLINE void store_first(float* p, vec<float> v, int n) {
    _mm256_maskstore_ps(p, first_lanes(n, 0.0f), (__m256)v);
}
RNNKIT_INLINE void store_first(double* p, vec<double> v, int n) {
    _mm256_maskstore_pd(p, first_lanes(n, 0.0), (__m256d)v);
}
#else
template <class T>
RNNKIT_INLINE vec<T> load_first(const T* p, int n) {
    vec<T> v{};
    for (int i = 0; i < n; ++i) v[i] = p[i];
    return v;
}
template <class T>
RNNKIT_INLINE void store_first(T* p, vec<T> v, int n) {
    for (int i = 0; i < n; ++i) p[i] = v[i];
}
#endif

// Whole vector where n >= lanes, else the first n lanes.
template <class T>
RNNKIT_INLINE vec<T> load_upto(const T* p, int64_t n) {
    return n >= lanes<T> ? load(p) : load_first(p, static_cast<int>(n));
}
template <class T>
RNNKIT_INLINE void store_upto(T* p, vec<T> v, int64_t n) {
    if (n >= lanes<T>)
        store(p, v);
    else
        store_first(p, v, static_cast<int>(n));
}

// Horner's scheme, highest power first.
template <class T, int N>
RNNKIT_INLINE vec<T> polynomial(vec<T> x, const T (&c)[N]) {
    vec<T> value = splat(c[0]);
#pragma GCC unroll 16
    for (int i = 1; i < N; ++i) value = value * x + c[i];
    return value;
}

// The smaller of x and the bound; NaN stays NaN. (With a mask of ones: GCC warns of what the form without leaves
// unset.)
template <class T>
RNNKIT_INLINE vec<T> at_most(vec<T> x, T bound) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_maskz_min_ps(0xFFFF, (__m512)splat(bound), (__m512)x);
    else
        return (vec<T>)_mm512_maskz_min_pd(0xFF, (__m512d)splat(bound), (__m512d)x);
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm256_min_ps((__m256)splat(bound), (__m256)x);
    else
        return (vec<T>)_mm256_min_pd((__m256d)splat(bound), (__m256d)x);
#else
    return x > bound ? splat(bound) : x;
#endif
}

// e^x = scale · (1 + rest): x = n ln 2 + r, scale = 2^n, and rest = e^r − 1, as a polynomial fitted to within 0.05 ulp
// (float: our own minimax fit of (e^r − 1 − r) / r²; double: Taylor). `x` lies where 2^n is a normal number.
template <class T>
struct Exponential {
    vec<T> scale, rest;

    explicit RNNKIT_INLINE Exponential(vec<T> x) {
        using S = Simd<T>;
        typedef typename S::bits bits;
        const vec<T> shifted = x * T(1.44269504088896340736) + S::round_magic;
        const vec<T> n = shifted - S::round_magic;
        const vec<T> r = (x - n * T(S::ln2_hi)) - n * T(S::ln2_lo);
        vec<T> q;
        if constexpr (sizeof(T) == 4) {
            constexpr T c[] = {1.38145394e-3f, 8.36874545e-3f, 4.1668389e-2f, 1.66665211e-1f, 4.9999994e-1f};
            q = polynomial<T>(r, c);
        } else {
            constexpr T c[] = {1. / 6227020800., 1. / 479001600., 1. / 39916800., 1. / 3628800.,
                               1. / 362880.,     1. / 40320.,     1. / 5040.,     1. / 720.,
                               1. / 120.,        1. / 24.,        1. / 6.,        .5};
            q = polynomial<T>(r, c);
        }
        rest = r + r * r * q;
        // The low bits of `shifted` hold n; the shift drops the others and puts n in the exponent's place.
        scale = (vec<T>)(((bits)shifted << S::mantissa) + (bits)splat(T(1)));
    }
};

// e^x within 1.1 ulp (measured over the range); arguments are held inside the range of normal results.
template <class T>
RNNKIT_INLINE vec<T> exp(vec<T> x) {
    using S = Simd<T>;
    const Exponential<T> e(-at_most<T>(-at_most<T>(x, S::exp_high), -S::exp_low));
    return e.scale + e.scale * e.rest;
}

// 1 / (1 + e^-x), within 2.5 ulp (measured).
template <class T>
RNNKIT_INLINE vec<T> sigmoid(vec<T> x) {
    return T(1) / (T(1) + exp<T>(-x));
}

// (e^2|x| − 1) / (e^2|x| + 1) with the sign of x, the numerator without cancellation; within 2.6 ulp (measured).
template <class T>
RNNKIT_INLINE vec<T> tanh(vec<T> x) {
    typedef typename Simd<T>::bits bits;
    const bits sign = (bits)x & (bits)splat(T(-0.0));
    const vec<T> magnitude = (vec<T>)((bits)x ^ sign);
    const Exponential<T> e(at_most<T>(magnitude + magnitude, T(44)));  // 1 − 2 e^-44 is 1
    const vec<T> less_one = e.scale * e.rest + (e.scale - T(1));
    return (vec<T>)((bits)(less_one / (less_one + T(2))) | sign);
}

}  // namespace rnnkit::RNNKIT_FAMILY
