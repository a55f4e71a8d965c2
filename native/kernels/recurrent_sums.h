// Sums of outer products over steps: the gradients of weights.
#pragma once

#include "../common/rows.h"

namespace rnnkit::RNNKIT_FAMILY {

// Where one thread's sums go: its own block of scratch, or the caller's arrays. Null where not wanted.
template <class T>
struct Sums {
    T *dw, *du, *dbias, *dprojection, *dpeephole, *dgain_x, *dshift_x, *dgain_h, *dshift_h, *dgain_c, *dshift_c;
};

// `to` (+)= Σ left ⊗ right over the gathered steps. The left side lies in the ring, at `from`.
template <class T>
struct Sum {
    enum class Right { x, state, ring };
    Right right;
    int64_t from, rows;  // of the left side
    int64_t right_from, columns;
    T* to;
    int64_t stride;
    bool transposed;  // to [columns, rows]: fills the vectors better where columns are few
};
constexpr int max_sums = 8;

// Steps whose weight gradients are not summed yet. Each has a row in the ring, written by the cell, and pointers to its
// input and to the state it started from. Summed in the order of arrival: the same bits from run to run.
template <class T>
class Gathered {
public:
    void take(Arena& arena, int64_t rows, int64_t width) {
        capacity_ = 2 * rows > pair_block ? 2 * rows : pair_block;
        // Rows a power of two apart would push each other out of the first-level cache.
        stride_ = ceil_div(width, lanes<T>) * lanes<T> + lanes<T>;
        ring_ = arena.take<T>(capacity_ * stride_);
        rows_ = arena.take<const T*>(capacity_), x_ = arena.take<const T*>(capacity_);
        with_state_ = arena.take<const T*>(capacity_), states_ = arena.take<const T*>(capacity_);
    }
    void begin() { count_ = states_count_ = 0, first_ = true; }
    bool lacks_room_for(int64_t rows) const { return count_ + rows > capacity_; }

    // A ring row for a step; `state` is null where it started from zeros. With `keeps` >= 0 U was multiplied by what
    // the ring row holds there.
    T* add(const T* x, const T* state, int64_t keeps) {
        T* const row = ring_ + count_ * stride_;
        rows_[count_] = row, x_[count_++] = x;
        if (state != nullptr)
            with_state_[states_count_] = row, states_[states_count_++] = keeps >= 0 ? row + keeps : state;
        return row;
    }

    void sum(const Sum<T>* sums, int count, T* scratch) const {
        for (int i = 0; i < count; ++i) {
            const Sum<T>& one = sums[i];
            const bool state = one.right == Sum<T>::Right::state;
            const T* const* left = state ? with_state_ : rows_;
            const T* const* right = state ? states_ : one.right == Sum<T>::Right::x ? x_ : rows_;
            const int64_t pairs = state ? states_count_ : count_;
            if (one.transposed)
                outer_product(right, one.right_from, one.columns, left, one.from, one.rows, pairs, one.to, one.stride,
                              first_, scratch);
            else
                outer_product(left, one.from, one.rows, right, one.right_from, one.columns, pairs, one.to, one.stride,
                              first_, scratch);
        }
    }
    // to[i] (+)= Σ of element `from` + i of the ring rows.
    void sum_rows(int64_t from, int64_t n, T* to) const {
        for (int64_t i = 0; i < n; i += lanes<T>) {
            vec<T> total{};
            for (int64_t k = 0; k < count_; ++k) total += load_upto(rows_[k] + from + i, n - i);
            store_upto(to + i, first_ ? total : load_upto(to + i, n - i) + total, n - i);
        }
    }
    void clear() { count_ = states_count_ = 0, first_ = false; }

private:
    int64_t capacity_, stride_, count_, states_count_;
    bool first_;
    T* ring_;
    const T **rows_, **x_, **with_state_, **states_;
};

}  // namespace rnnkit::RNNKIT_FAMILY
