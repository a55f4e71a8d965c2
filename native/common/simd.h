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

// e^x by x = n ln 2 + r, within 1 ulp (measured over the range); arguments are held inside the range of normal results.
template <class T>
RNNKIT_INLINE vec<T> exp(vec<T> x) {
    using S = Simd<T>;
    typedef typename S::bits bits;
    x = x > S::exp_high ? splat(T(S::exp_high)) : x;
    x = x < S::exp_low ? splat(T(S::exp_low)) : x;
    const vec<T> shifted = x * T(1.44269504088896340736) + S::round_magic;
    const vec<T> n = shifted - S::round_magic;
    const vec<T> r = (x - n * T(S::ln2_hi)) - n * T(S::ln2_lo);
    vec<T> p;
    if constexpr (sizeof(T) == 4) {
        constexpr T c[] = {1.f / 5040, 1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, .5f, 1.f, 1.f};
        p = polynomial<T>(r, c);
    } else {
        constexpr T c[] = {1. / 6227020800., 1. / 479001600., 1. / 39916800., 1. / 3628800., 1. / 362880.,
                           1. / 40320.,      1. / 5040.,      1. / 720.,      1. / 120.,     1. / 24.,
                           1. / 6.,          .5,              1.,             1.};
        p = polynomial<T>(r, c);
    }
    // The low bits of `shifted` hold n; the sum puts them beside the exponent's bias.
    const bits exponent = ((bits)shifted - (bits)splat(T(S::round_magic)) + S::bias) << S::mantissa;
    return p * (vec<T>)exponent;
}

// 1 / (1 + e^-x), within 2.5 ulp (measured).
template <class T>
RNNKIT_INLINE vec<T> sigmoid(vec<T> x) {
    return T(1) / (T(1) + exp<T>(-x));
}

// Below 0.625 in magnitude an odd minimax form (Moshier's Cephes coefficients), else 1 - 2 / (1 + e^2|x|); within 1.4 ulp
// (measured).
template <class T>
RNNKIT_INLINE vec<T> tanh(vec<T> x) {
    typedef typename Simd<T>::bits bits;
    const bits sign = (bits)x & (bits)splat(T(-0.0));
    const vec<T> magnitude = (vec<T>)((bits)x ^ sign);
    const vec<T> z = x * x;
    vec<T> small;
    if constexpr (sizeof(T) == 4) {
        constexpr T c[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                           -3.33332819422e-1f};
        small = x + x * z * polynomial<T>(z, c);
    } else {
        constexpr T p[] = {-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3};
        constexpr T q[] = {1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3};
        small = x + x * z * (polynomial<T>(z, p) / polynomial<T>(z, q));
    }
    const vec<T> large = T(1) - T(2) / (T(1) + exp<T>(magnitude + magnitude));
    return magnitude < T(0.625) ? small : (vec<T>)((bits)large | sign);
}

}  // namespace rnnkit::RNNKIT_FAMILY
