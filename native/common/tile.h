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

// The right side of a product: B[k][n] = data[n * stride + k] if transposed, else data[k * stride + n].
template <class T>
struct Matrix {
    const T* data;
    int64_t stride;
    bool transposed;
};

// Packs panel i of B: depth × width vectors. Columns behind the last valid one are zero.
template <class T>
void pack_panel(const Panels<T>& panels, int64_t i, Matrix<T> b, int64_t depth, T* packed) {
    const int64_t stride = panels.width(i) * lanes<T>, first = panels.start(i) * lanes<T>, valid = panels.valid(i);
    for (int64_t n = valid; n < stride; ++n)
        for (int64_t k = 0; k < depth; ++k) packed[k * stride + n] = 0;
    if (b.transposed) {
        constexpr int64_t block = 64;  // rows of the panel that stay in the first-level cache while they are filled
        for (int64_t from = 0; from < depth; from += block)
            for (int64_t n = 0; n < valid; ++n)
                for (int64_t k = from; k < smaller(from + block, depth); ++k)
                    packed[k * stride + n] = b.data[(first + n) * b.stride + k];
    } else {
        for (int64_t k = 0; k < depth; ++k)
            for (int64_t n = 0; n < valid; ++n) packed[k * stride + n] = b.data[k * b.stride + first + n];
    }
}
// Packs all panels of B, one behind the other.
template <class T>
void pack_panels(const Panels<T>& panels, Matrix<T> b, int64_t depth, T* packed) {
    for (int64_t i = 0; i < panels.count; ++i)
        pack_panel(panels, i, b, depth, packed + panels.start(i) * lanes<T> * depth);
}

// With so few rows a product waits for its right side, which is fetched so many steps ahead. (The processor's own
// prefetching ends at each page.)
constexpr int few_rows = 5;
constexpr int64_t prefetched = 16;

// acc += A · panel for `depth` columns of R rows of A, from column `from` on.
template <class T, int R, int C>
RNNKIT_INLINE void accumulate(vec<T> (&acc)[R][C], const T* const* rows, int64_t from, const T* panel, int64_t depth) {
    const T* a[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) a[r] = rows[r] + from;
    for (int64_t k = 0; k < depth; ++k, panel += C * lanes<T>) {
        if constexpr (R <= few_rows)
#pragma GCC unroll 16
            for (int c = 0; c < C; ++c) __builtin_prefetch(panel + (prefetched * C + c) * lanes<T>);
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

// Of a panel as much as stays in the first-level cache while all rows pass over it, in bytes.
constexpr int64_t panel_block = 32 << 10;

// Where a product goes: rows given by pointers, from column `column` on. It begins at `bias` (null: zeros), or at what
// the rows hold where `add` is set.
template <class T>
struct Target {
    T* const* rows;
    int64_t column = 0;
    const T* bias = nullptr;
    bool add = false;
};

// The panels [panel, panel_end) of the product, for `count` rows. Nothing is written behind the last column. A long
// depth is summed in nearly equal passes, each by itself, whatever the number of rows.
template <class T, int Segments>
RNNKIT_ONE_COPY void multiply_rows(const Panels<T>& panels, int64_t panel, int64_t panel_end, int64_t count,
                                   const Segment<T> (&segments)[Segments], Target<T> target) {
    T* const* const out = target.rows;
    const T* const bias = target.bias;
    const int64_t to = target.column;
    const bool add = target.add;
    int64_t total = 0;
    for (const Segment<T>& segment : segments) total += segment.depth;
    for (int64_t p = panel; p < panel_end; ++p) {
        const int cols = panels.width(p);
        const int64_t first = panels.start(p) * lanes<T>, valid = panels.valid(p);
        const int64_t tiles = ceil_div(count, max_rows(cols));
        const int64_t limit = panel_block / (cols * vector_bytes);
        const int64_t passes = total > limit ? ceil_div(total, limit) : 1;
        for (int64_t pass = 0; pass < passes; ++pass) {
            const int64_t done = share_begin(total, passes, pass), end = share_begin(total, passes, pass + 1);
            for (int64_t tile = 0; tile < tiles; ++tile) {
                const int64_t row = share_begin(count, tiles, tile);
                const int rows = static_cast<int>(share_begin(count, tiles, tile + 1) - row);
                with_tile(rows, cols, [&]<int R, int C>() __attribute__((always_inline)) {
                    vec<T> acc[R][C];
                    const bool fresh = pass == 0 && !add;
#pragma GCC unroll 16
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                        for (int c = 0; c < C; ++c) {
                            const int64_t column = first + c * lanes<T>, left = valid - c * lanes<T>;
                            acc[r][c] = fresh && bias != nullptr ? load_upto(bias + column, left) : vec<T>{};
                        }
                    int64_t before = 0;
#pragma GCC unroll 1
                    for (int s = 0; s < Segments; before += segments[s++].depth) {
                        const int64_t from = done > before ? done - before : 0;
                        const int64_t stop = smaller(end - before, segments[s].depth);
                        if (from < stop)
                            accumulate<T, R, C>(acc, segments[s].rows + row, from,
                                                segments[s].packed + first * segments[s].depth + from * C * lanes<T>,
                                                stop - from);
                    }
                    if (!fresh)
#pragma GCC unroll 16
                        for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                            for (int c = 0; c < C; ++c)
                                acc[r][c] += load_upto(out[row + r] + to + first + c * lanes<T>, valid - c * lanes<T>);
#pragma GCC unroll 16
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                        for (int c = 0; c < C; ++c)
                            store_upto(out[row + r] + to + first + c * lanes<T>, acc[r][c], valid - c * lanes<T>);
                });
            }
        }
    }
}
// All panels of the product.
template <class T, int Segments>
void multiply_rows(const Panels<T>& panels, int64_t count, const Segment<T> (&segments)[Segments], Target<T> target) {
    multiply_rows(panels, 0, panels.count, count, segments, target);
}

// Pairs of rows that one block of an outer product takes.
constexpr int64_t pair_block = 128;
// Columns of a wide left side that are copied at a time: of one block of pairs they are 96 KiB of floats, which stay in
// the second-level cache while all panels of the right side pass.
constexpr int64_t left_columns = 192;
static_assert(left_columns % max_rows(max_cols) == 0);
// With fewer panels the copy costs more than it saves.
constexpr int64_t left_panels = 8;
// Elements from one copied row to the next. (Not a power of two: they would evict each other.)
template <class T>
constexpr int64_t left_stride = left_columns + 64 / static_cast<int64_t>(sizeof(T));
// Elements of scratch that outer_product() needs: for a panel of the right side, and for the copy of the left side.
template <class T>
constexpr int64_t panel_scratch = pair_block * max_cols * lanes<T>;
template <class T>
constexpr int64_t outer_scratch = panel_scratch<T> + pair_block * left_stride<T>;

// Columns [from, from + count) of rows given by pointers: one side of an outer product.
template <class T>
struct Columns {
    const T* const* rows;
    int64_t from, count;
};

// c[i][j] (+)= Σ_k left[k][i] · right[k][j] over `depth` pairs of rows; `first`: c is written, not added to. Each block
// of pairs is summed by itself, in the order of k: one long chain would gather more rounding. Rows of c are `stride`
// apart. The right sides are copied panel by panel: adjacent in memory they stay in the first-level cache, where rows a
// power of two apart would evict each other.
template <class T>
void outer_of_near(Columns<T> left_side, Columns<T> right_side, int64_t depth, T* c, int64_t stride, bool first,
                   T* scratch) {
    const T *const *const a = left_side.rows, *const *const b = right_side.rows;
    const int64_t a_from = left_side.from, m = left_side.count, b_from = right_side.from, n = right_side.count;
    const Panels<T> panels(n);
    const int64_t row_tiles = ceil_div(m, max_rows(max_cols));
    for (int64_t done = 0; done < depth || first; done += pair_block, first = false) {
        const int64_t pairs = smaller(pair_block, depth - done);
        for (int64_t p = 0; p < panels.count; ++p) {
            const int64_t column = panels.start(p) * lanes<T>, valid = panels.valid(p);
            const int cols = panels.width(p);
            for (int64_t k = 0; k < pairs; ++k)
                for (int64_t v = 0; v < cols; ++v)
                    store(scratch + (k * cols + v) * lanes<T>,
                          load_upto(b[done + k] + b_from + column + v * lanes<T>, valid - v * lanes<T>));
            for (int64_t tile = 0; tile < row_tiles; ++tile) {
                const int64_t row = share_begin(m, row_tiles, tile);
                const int rows = static_cast<int>(share_begin(m, row_tiles, tile + 1) - row);
                with_tile(rows, cols, [&]<int R, int C>() __attribute__((always_inline)) {
                    vec<T> acc[R][C];
                    T* const corner = c + row * stride + column;
#pragma GCC unroll 16
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                        for (int v = 0; v < C; ++v) acc[r][v] = vec<T>{};
                    const T* right = scratch;
                    for (int64_t k = 0; k < pairs; ++k, right += C * lanes<T>) {
                        const T* const left = a[done + k] + a_from + row;
#pragma GCC unroll 16
                        for (int r = 0; r < R; ++r) {
                            const vec<T> value = splat(left[r]);
#pragma GCC unroll 16
                            for (int v = 0; v < C; ++v) acc[r][v] += value * load(right + v * lanes<T>);
                        }
                    }
                    if (!first)
#pragma GCC unroll 16
                        for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                            for (int v = 0; v < C; ++v)
                                acc[r][v] += load_upto(corner + r * stride + v * lanes<T>, valid - v * lanes<T>);
#pragma GCC unroll 16
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                        for (int v = 0; v < C; ++v)
                            store_upto(corner + r * stride + v * lanes<T>, acc[r][v], valid - v * lanes<T>);
                });
            }
        }
    }
}

// The same, for left sides of any width. Where many columns lie between the left sides of two pairs, each pair is a
// page of its own, and the processor's first table of pages has fewer entries than a block has pairs. So such columns
// are copied before all panels of the right side pass over them.
template <class T>
void outer_product(Columns<T> left, Columns<T> right, int64_t depth, T* c, int64_t stride, bool first, T* scratch) {
    if (left.count <= left_columns || Panels<T>(right.count).count < left_panels)
        return outer_of_near(left, right, depth, c, stride, first, scratch);
    T* const copies = scratch + panel_scratch<T>;
    const T* rows[pair_block];
    for (int64_t k = 0; k < pair_block; ++k) rows[k] = copies + k * left_stride<T>;
    for (int64_t done = 0; done < depth || first; done += pair_block, first = false) {
        const int64_t pairs = smaller(pair_block, depth - done);
        for (int64_t column = 0; column < left.count; column += left_columns) {
            const int64_t count = smaller(left_columns, left.count - column);
            for (int64_t k = 0; k < pairs; ++k)
                for (int64_t i = 0; i < count; i += lanes<T>)
                    store(copies + k * left_stride<T> + i,
                          load_upto(left.rows[done + k] + left.from + column + i, count - i));
            outer_of_near(Columns<T>{rows, 0, count}, Columns<T>{right.rows + done, right.from, right.count}, pairs,
                          c + column * stride, stride, first, scratch);
        }
    }
}

}  // namespace rnnkit::RNNKIT_FAMILY
