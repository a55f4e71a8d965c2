// Products of whole numbers in 8 bits, for one CPU family (see simd.h).
//
//     y_rc = bias_c + s_r t_c Σ_k q_rk w_ck      q_rk = round(x_rk / s_r),   s_r = max_k |x_rk| / 127
//
// The weights w and their scales t are given. The left rows are quantised as they come, each with a scale of its own.
// The sum is exact, in 32 bits, and the same on every processor; what follows rounds as float32 does.
#pragma once

#include "rows.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace rnnkit::RNNKIT_FAMILY {

constexpr float int8_most = 127.0f;
// A row whose largest entry is smaller counts as zeros: 127 over a smaller number could overflow.
constexpr float int8_least = 0x1p-100f;
// The depth of a product, at most: 255 · 127 · 65,536 fits into 32 bits.
constexpr int64_t int8_depth = 65536;
// Weights of one column that lie side by side and meet in one instruction.
constexpr int64_t quad = 4;

// The instruction of VNNI multiplies unsigned numbers by signed ones: left rows are stored as q + 128 then, and 128 Σ w
// is taken away at the end. Without it both |q| and q are stored.
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(RNNKIT_EMULATED_VNNI)
constexpr bool unsigned_left = true;
#else
constexpr bool unsigned_left = false;
#endif

typedef Simd<float>::bits ints;
typedef int32_t unaligned_ints __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
typedef int16_t shorts __attribute__((vector_size(vector_bytes)));
typedef int8_t bytes_of_ints __attribute__((vector_size(vector_bytes / 4)));
typedef int8_t unaligned_bytes_of_ints __attribute__((vector_size(vector_bytes / 4), aligned(1), may_alias));
typedef int32_t unaligned_quad __attribute__((aligned(1), may_alias));

RNNKIT_INLINE ints load_ints(const void* p) { return *static_cast<const unaligned_ints*>(p); }

// Four entries of a left row, in every lane: as they are stored, and |q| where that is stored too.
struct LeftQuad {
    ints value, magnitude;
};
RNNKIT_INLINE LeftQuad load_left(const int8_t* value, const int8_t* magnitude, int64_t k) {
    const int32_t q = *reinterpret_cast<const unaligned_quad*>(value + k);
    if constexpr (unsigned_left) return {q - ints{}, ints{}};
    return {q - ints{}, *reinterpret_cast<const unaligned_quad*>(magnitude + k) - ints{}};
}

// sums[lane] + Σ_{k<4} left[k] · right[4 lane + k], without saturation: |q| and |w| are at most 127, so a pair of
// products fits into 16 bits.
RNNKIT_INLINE ints dot(ints sums, LeftQuad left, ints right) {
#if defined(RNNKIT_EMULATED_VNNI)
    for (int i = 0; i < lanes<float>; ++i)
        for (int k = 0; k < 4; ++k)
            sums[i] += (left.value[i] >> 8 * k & 255) * static_cast<int8_t>(right[i] >> 8 * k & 255);
    return sums;
#elif defined(__AVX512VNNI__)
    return (ints)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)left.value, (__m512i)right);
#elif defined(__AVXVNNI__)
    return (ints)_mm256_dpbusd_avx_epi32((__m256i)sums, (__m256i)left.value, (__m256i)right);
#elif defined(__AVX512BW__)
    const __m512i weights = (__m512i)right;
    const __mmask64 negative = _mm512_movepi8_mask((__m512i)left.value);
    const __m512i turned = _mm512_mask_sub_epi8(weights, negative, _mm512_setzero_si512(), weights);
    const __m512i pairs = _mm512_maddubs_epi16((__m512i)left.magnitude, turned);
    return sums + (ints)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif defined(__AVX2__)
    const __m256i turned = _mm256_sign_epi8((__m256i)right, (__m256i)left.value);
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)left.magnitude, turned);
    return sums + (ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#elif defined(__SSE2__)
    // Bytes 0 and 2 of each lane as 16 bits, and bytes 1 and 3.
    const shorts q = (shorts)left.value, w = (shorts)right;
    const __m128i even = _mm_madd_epi16((__m128i)(q << 8 >> 8), (__m128i)(w << 8 >> 8));
    return sums + (ints)even + (ints)_mm_madd_epi16((__m128i)(q >> 8), (__m128i)(w >> 8));
#else
    // The four bytes of a lane, by shifts that keep the sign.
    const ints q = left.value;
    sums += (q >> 24) * (right >> 24);
    sums += (q << 8 >> 24) * (right << 8 >> 24);
    sums += (q << 16 >> 24) * (right << 16 >> 24);
    return sums + (q << 24 >> 24) * (right << 24 >> 24);
#endif
}

// Whole numbers nearest to x, halves to the even one.
RNNKIT_INLINE ints nearest(vec<float> x) {
#if defined(__AVX512F__)
    return (ints)_mm512_maskz_cvtps_epi32(0xFFFF, (__m512)x);  // with a mask of ones: see at_most()
#elif defined(__AVX2__)
    return (ints)_mm256_cvtps_epi32((__m256)x);
#else
    ints n{};
    for (int i = 0; i < lanes<float>; ++i) n[i] = static_cast<int32_t>(__builtin_rintf(x[i]));
    return n;
#endif
}

// The largest of the lanes, which are not negative.
RNNKIT_INLINE int32_t largest_of(ints x) {
#if defined(__AVX2__)
#if defined(__AVX512F__)
    const __m256i halves =
        _mm256_max_epi32(_mm512_castsi512_si256((__m512i)x), _mm512_maskz_extracti64x4_epi64(0xF, (__m512i)x, 1));
#else
    const __m256i halves = (__m256i)x;
#endif
    __m128i found = _mm_max_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    found = _mm_max_epi32(found, _mm_shuffle_epi32(found, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(found, _mm_shuffle_epi32(found, 0xB1)));
#else
    int32_t found = 0;
    for (int i = 0; i < lanes<float>; ++i) found = x[i] > found ? x[i] : found;
    return found;
#endif
}

// Entries of a row that are quantised at a time: four vectors, which give one vector of bytes.
constexpr int64_t int8_block = 4 * lanes<float>;
// Bytes of a quantised row of so many entries: whole blocks, so that they are written without a tail.
RNNKIT_INLINE int64_t int8_row(int64_t depth) { return ceil_div(depth, int8_block) * int8_block; }

// Writes a block of whole numbers between -127 and 255 as bytes.
RNNKIT_INLINE void store_block(int8_t* to, const ints (&q)[4]) {
#if defined(__AVX2__) && !defined(__AVX512F__)
    // Numbers from 128 on are unsigned bytes: 32 bits to signed 16, then to bytes that saturate where they may not.
    const __m256i low = _mm256_packs_epi32((__m256i)q[0], (__m256i)q[1]),
                  high = _mm256_packs_epi32((__m256i)q[2], (__m256i)q[3]);
    const __m256i packed = unsigned_left ? _mm256_packus_epi16(low, high) : _mm256_packs_epi16(low, high);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(packed, order));
#else
    for (int i = 0; i < 4; ++i)
        *reinterpret_cast<unaligned_bytes_of_ints*>(to + i * lanes<float>) =
            __builtin_convertvector(q[i], bytes_of_ints);
#endif
}

// Rows that are quantised at a time.
constexpr int64_t left_block = 64;

// Quantised left rows of one thread.
struct LeftRows {
    int8_t *values, *magnitudes;  // [left_block, stride]
    float* scales;                // [left_block]
    int64_t stride;

    RNNKIT_INLINE void allocate(Arena& arena, int64_t deepest) {
        stride = int8_row(deepest);
        values = arena.allocate<int8_t>(left_block * stride);
        magnitudes = arena.allocate<int8_t>(unsigned_left ? 0 : left_block * stride);
        scales = arena.allocate<float>(left_block);
    }
    // Rows of `depth` entries. A row that holds NaN or an infinity gets such a scale, and so do all products with it.
    void quantise(const float* const* rows, int64_t count, int64_t depth) const {
        for (int64_t r = 0; r < count; ++r) {
            const float* const x = rows[r];
            ints high{};
            for (int64_t k = 0; k < depth; k += lanes<float>) {
                const ints bits = (ints)load_upto(x + k, depth - k) & 0x7fffffff;
                high = bits > high ? bits : high;  // in the order of |x|, with infinity and NaN last
            }
            const int32_t most = largest_of(high);
            const float largest = __builtin_bit_cast(float, most);
            const bool finite = most < 0x7f800000, none = finite && largest < int8_least;
            scales[r] = none ? 0.0f : largest / int8_most;
            const float inverse = finite && !none ? int8_most / largest : 0.0f;
            for (int64_t k = 0; k < depth; k += int8_block) {
                ints q[4];
#pragma GCC unroll 4
                for (int i = 0; i < 4; ++i) {
                    const int64_t from = k + i * lanes<float>;
                    const vec<float> scaled = from < depth ? load_upto(x + from, depth - from) * inverse : vec<float>{};
                    q[i] = finite ? nearest(scaled) : ints{};
                    if constexpr (unsigned_left) q[i] += 128;
                }
                store_block(values + r * stride + k, q);
                if constexpr (!unsigned_left) {
#pragma GCC unroll 4
                    for (int i = 0; i < 4; ++i) q[i] = q[i] < 0 ? -q[i] : q[i];
                    store_block(magnitudes + r * stride + k, q);
                }
            }
        }
    }
};

// W [N, K] with a scale for each of its N rows, which are the columns of the product.
struct Int8Source {
    const int8_t* data;
    const float* scales;
};

// The right side of a product, packed in panels of up to max_cols vectors; each lane of a vector holds four entries of
// one column.
struct Int8Matrix {
    int64_t columns, depth;
    int8_t* packed;
    float* scales;     // of the columns, zeros behind the last
    int32_t* offsets;  // 128 Σ w of each column, where left rows are unsigned

    RNNKIT_INLINE int64_t padded_depth() const { return ceil_div(depth, quad) * quad; }
    RNNKIT_INLINE void allocate(Arena& arena, int64_t n, int64_t k) {
        columns = n, depth = k;
        const int64_t padded = Panels<float>(n).padded();
        packed = arena.allocate<int8_t>(padded * padded_depth());
        scales = arena.allocate<float>(padded);
        offsets = arena.allocate<int32_t>(unsigned_left ? padded : 0);
    }
    // Packs panel i of rows `from`, `from` + 1, ... of the source.
    void pack(Int8Source source, int64_t from, int64_t i) const {
        const Panels<float> panels(columns);
        const int64_t first = panels.start(i) * lanes<float>, valid = panels.valid(i);
        const int64_t width = panels.width(i) * lanes<float>;
        int8_t* const to = packed + first * padded_depth();
        for (int64_t n = 0; n < width; ++n) {
            const int8_t* const row = n < valid ? source.data + (from + first + n) * depth : nullptr;
            for (int64_t k = 0; k < padded_depth(); k += quad) {
                int32_t four = 0;
                if (row != nullptr && k + quad <= depth)
                    four = *reinterpret_cast<const unaligned_quad*>(row + k);
                else
                    for (int64_t j = 0; row != nullptr && j < depth - k; ++j)
                        reinterpret_cast<int8_t*>(&four)[j] = row[k + j];
                *reinterpret_cast<unaligned_quad*>(to + k * width + n * quad) = four;
            }
            int32_t sum = 0;
            for (int64_t k = 0; unsigned_left && row != nullptr && k < depth; ++k) sum += row[k];
            scales[first + n] = n < valid ? source.scales[from + first + n] : 0.0f;
            if constexpr (unsigned_left) offsets[first + n] = 128 * sum;
        }
    }
};

// Rows of a tile: as many as the registers hold beside `cols` vectors of weights, the left side and what dot() needs.
constexpr int max_int8_rows(int cols) {
    if (registers == 32) return cols == 4 ? (unsigned_left ? 6 : 5) : 6;
    return cols == 2 ? 4 : 6;
}
template <int C = max_cols, class F>
RNNKIT_INLINE void with_int8_tile(int rows, int cols, F&& f) {
    if constexpr (C > 1) {
        if (cols < C) return with_int8_tile<C - 1>(rows, cols, f);
    }
    with_rows<C, max_int8_rows(C)>(rows, f);
}

// sums += A · panel for R quantised rows, from row `row` on.
template <int R, int C>
RNNKIT_INLINE void accumulate(ints (&sums)[R][C], const LeftRows& left, int64_t row, const int8_t* panel,
                              int64_t depth) {
    const int8_t *values[R], *magnitudes[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
        values[r] = left.values + (row + r) * left.stride;
        magnitudes[r] = unsigned_left ? values[r] : left.magnitudes + (row + r) * left.stride;
    }
#pragma GCC unroll 2
    for (int64_t k = 0; k < depth; k += quad, panel += C * vector_bytes) {
        if constexpr (R <= few_rows)
#pragma GCC unroll 16
            for (int c = 0; c < C; ++c) __builtin_prefetch(panel + (prefetched * C + c) * vector_bytes);
        ints weights[C];
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) weights[c] = load_ints(panel + c * vector_bytes);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const LeftQuad quads = load_left(values[r], magnitudes[r], k);
#pragma GCC unroll 16
            for (int c = 0; c < C; ++c) sums[r][c] = dot(sums[r][c], quads, weights[c]);
        }
    }
}

// The panels [panel, panel_end) of the product of `count` quantised rows. Nothing is written behind the last column.
RNNKIT_ONE_COPY inline void multiply_int8(const Int8Matrix& matrix, int64_t panel, int64_t panel_end,
                                          const LeftRows& left, int64_t count, Target<float> target) {
    const Panels<float> panels(matrix.columns);
    const int64_t depth = matrix.padded_depth();
    for (int64_t p = panel; p < panel_end; ++p) {
        const int cols = panels.width(p);
        const int64_t first = panels.start(p) * lanes<float>, valid = panels.valid(p);
        const int64_t tiles = ceil_div(count, max_int8_rows(cols));
        for (int64_t tile = 0; tile < tiles; ++tile) {
            const int64_t row = share_begin(count, tiles, tile);
            const int rows = static_cast<int>(share_begin(count, tiles, tile + 1) - row);
            with_int8_tile(rows, cols, [&]<int R, int C>() __attribute__((always_inline)) {
                ints sums[R][C];
#pragma GCC unroll 16
                for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                    for (int c = 0; c < C; ++c)
                        sums[r][c] = unsigned_left ? -load_ints(matrix.offsets + first + c * lanes<float>) : ints{};
                accumulate<R, C>(sums, left, row, matrix.packed + first * depth, depth);
#pragma GCC unroll 16
                for (int c = 0; c < C; ++c) {
                    const int64_t column = first + c * lanes<float>, rest = valid - c * lanes<float>;
                    const vec<float> scales = load(matrix.scales + column);
#pragma GCC unroll 16
                    for (int r = 0; r < R; ++r) {
                        float* const to = target.rows[row + r] + target.column + column;
                        vec<float> y =
                            __builtin_convertvector(sums[r][c], vec<float>) * (scales * left.scales[row + r]);
                        if (target.add)
                            y += load_upto(to, rest);
                        else if (target.bias != nullptr)
                            y += load_upto(target.bias + column, rest);
                        store_upto(to, y, rest);
                    }
                }
            });
        }
    }
}

}  // namespace rnnkit::RNNKIT_FAMILY
