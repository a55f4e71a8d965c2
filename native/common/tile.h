// Register-blocked products for recurrent layers, for one CPU family (see simd.h).
//
// Operands are given by row pointers, so that a row may lie anywhere: in the user's input, in the output of the
// previous time step, in an initial state. Nothing is copied to make rows adjacent.
#pragma once

#include "simd.h"

namespace rnnkit::RNNKIT_FAMILY {

RNNKIT_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
RNNKIT_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The i-th of `parts` nearly equal shares of [0, total): begin(i) .. begin(i + 1).
RNNKIT_INLINE int64_t share_begin(int64_t total, int64_t parts, int64_t i) {
    return i * (total / parts) + smaller(i, total % parts);
}

// A tile is `rows` × `cols` vectors of accumulators. Enough of them hide the latency of a fused multiply-add (4 cycles
// at 2 a cycle), and the registers that are left hold `cols` vectors of the right operand and one broadcast.
constexpr int max_cols = registers == 32 ? 4 : 2;
constexpr int max_rows(int cols) {
    if (registers == 32) return cols == 4 ? 6 : 8;
    return cols == 2 ? 6 : 8;
}

// Splits the columns of a product into panels of at most max_cols vectors, nearly equal.
template <class T>
struct Panels {
    int64_t columns, vectors, count;

    explicit RNNKIT_INLINE Panels(int64_t n)
        : columns(n), vectors(ceil_div(n, lanes<T>)), count(ceil_div(vectors, max_cols)) {}
    RNNKIT_INLINE int64_t start(int64_t i) const { return share_begin(vectors, count, i); }  // in vectors
    RNNKIT_INLINE int width(int64_t i) const { return static_cast<int>(start(i + 1) - start(i)); }
    RNNKIT_INLINE int64_t padded() const { return vectors * lanes<T>; }
    // Valid columns of panel i.
    RNNKIT_INLINE int64_t valid(int64_t i) const {
        return smaller(columns, start(i + 1) * lanes<T>) - start(i) * lanes<T>;
    }
};

// Calls f.operator()<R, C>() for 1 <= rows <= max_rows(cols), 1 <= cols <= max_cols.
template <int C, int R, class F>
RNNKIT_INLINE void with_rows(int rows, F&& f) {
    if constexpr (R > 1) {
        if (rows < R) return with_rows<C, R - 1>(rows, f);
    }
    f.template operator()<R, C>();
}
template <int C = max_cols, class F>
RNNKIT_INLINE void with_tile(int rows, int cols, F&& f) {
    if constexpr (C > 1) {
        if (cols < C) return with_tile<C - 1>(rows, cols, f);
    }
    with_rows<C, max_rows(C)>(rows, f);
}

// Packs panel i of B, where B[k][n] = w[n * ld + k] (transposed) or w[k * ld + n]: depth × width vectors, columns
// behind the last valid one are zero.
template <class T>
void pack_panel(const Panels<T>& panels, int64_t i, const T* w, int64_t ld, bool transposed, int64_t depth, T* packed) {
    const int64_t stride = panels.width(i) * lanes<T>, first = panels.start(i) * lanes<T>, valid = panels.valid(i);
    for (int64_t n = valid; n < stride; ++n)
        for (int64_t k = 0; k < depth; ++k) packed[k * stride + n] = 0;
    if (transposed) {
        constexpr int64_t block = 64;  // rows of the panel that stay in the first-level cache while they are filled
        for (int64_t from = 0; from < depth; from += block)
            for (int64_t n = 0; n < valid; ++n)
                for (int64_t k = from; k < smaller(from + block, depth); ++k)
                    packed[k * stride + n] = w[(first + n) * ld + k];
    } else {
        for (int64_t k = 0; k < depth; ++k)
            for (int64_t n = 0; n < valid; ++n) packed[k * stride + n] = w[k * ld + first + n];
    }
}

// acc += A · panel for R rows of A of length `depth`.
template <class T, int R, int C>
RNNKIT_INLINE void accumulate(vec<T> (&acc)[R][C], const T* const* rows, const T* panel, int64_t depth) {
    const T* a[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) a[r] = rows[r];
    for (int64_t k = 0; k < depth; ++k, panel += C * lanes<T>) {
        vec<T> b[C];
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) b[c] = load(panel + c * lanes<T>);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const vec<T> left = splat(a[r][k]);
#pragma GCC unroll 16
            for (int c = 0; c < C; ++c) acc[r][c] += left * b[c];
        }
    }
}

// One product with a packed right side: out[r] = bias + Σ_segments A_s[r] · B_s.
template <class T>
struct Segment {
    const T* const* rows;  // row pointers of A
    const T* packed;       // B in panels
    int64_t depth;         // length of a row of A
};

// out rows (unit stride, `panels.columns` valid columns, never written behind them) for `count` rows and all panels.
// `bias` is a padded vector, or null.
template <class T, int Segments>
void multiply_rows(const Panels<T>& panels, int64_t count, const Segment<T> (&segments)[Segments], const T* bias,
                   T* const* out) {
    for (int64_t p = 0; p < panels.count; ++p) {
        const int cols = panels.width(p);
        const int64_t first = panels.start(p) * lanes<T>, valid = panels.valid(p);
        const int64_t tiles = ceil_div(count, max_rows(cols));
        for (int64_t tile = 0; tile < tiles; ++tile) {
            const int64_t row = share_begin(count, tiles, tile);
            const int rows = static_cast<int>(share_begin(count, tiles, tile + 1) - row);
            with_tile(rows, cols, [&]<int R, int C>() __attribute__((always_inline)) {
                vec<T> acc[R][C];
#pragma GCC unroll 16
                for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                    for (int c = 0; c < C; ++c)
                        acc[r][c] = bias != nullptr ? load(bias + first + c * lanes<T>) : vec<T>{};
#pragma GCC unroll 4
                for (int s = 0; s < Segments; ++s)
                    accumulate<T, R, C>(acc, segments[s].rows + row, segments[s].packed + first * segments[s].depth,
                                        segments[s].depth);
#pragma GCC unroll 16
                for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                    for (int c = 0; c < C; ++c)
                        store_upto(out[row + r] + first + c * lanes<T>, acc[r][c], valid - c * lanes<T>);
            });
        }
    }
}

// c[m][n] (+)= Σ_k a[k][m] · b[k][n] over `depth` pairs of rows, summed in the order of k.
template <class T>
void outer_product(const T* const* a, int64_t m, const T* const* b, int64_t n, int64_t depth, T* c, bool first) {
    const Panels<T> panels(n);
    const int64_t row_tiles = ceil_div(m, max_rows(max_cols));
    for (int64_t tile = 0; tile < panels.count * row_tiles; ++tile) {
        const int64_t p = tile / row_tiles, i = tile % row_tiles;
        const int64_t row = share_begin(m, row_tiles, i), column = panels.start(p) * lanes<T>;
        const int rows = static_cast<int>(share_begin(m, row_tiles, i + 1) - row), cols = panels.width(p);
        const int64_t last = panels.valid(p) - (cols - 1) * lanes<T>;  // valid lanes of the last vector
        with_tile(rows, cols, [&]<int R, int C>() __attribute__((always_inline)) {
            vec<T> acc[R][C];
            T* const corner = c + row * n + column;
            const auto valid = [&](int v) __attribute__((always_inline)) { return v + 1 < C ? lanes<T> : last; };
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                for (int v = 0; v < C; ++v)
                    acc[r][v] = first ? vec<T>{} : load_upto(corner + r * n + v * lanes<T>, valid(v));
            const auto sum = [&]<bool Partial>() __attribute__((always_inline)) {
                for (int64_t k = 0; k < depth; ++k) {
                    vec<T> right[C];
                    const T* const source = b[k] + column;
                    const T* const left = a[k] + row;
#pragma GCC unroll 16
                    for (int v = 0; v < C; ++v)
                        right[v] = Partial && v + 1 == C ? load_first(source + v * lanes<T>, static_cast<int>(last))
                                                         : load(source + v * lanes<T>);
#pragma GCC unroll 16
                    for (int r = 0; r < R; ++r) {
                        const vec<T> value = splat(left[r]);
#pragma GCC unroll 16
                        for (int v = 0; v < C; ++v) acc[r][v] += value * right[v];
                    }
                }
            };
            if (last < lanes<T>)
                sum.template operator()<true>();
            else
                sum.template operator()<false>();
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                for (int v = 0; v < C; ++v) store_upto(corner + r * n + v * lanes<T>, acc[r][v], valid(v));
        });
    }
}

}  // namespace rnnkit::RNNKIT_FAMILY
