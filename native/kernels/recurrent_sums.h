// Sums of outer products over steps: the gradients of weights.
#pragma once

#include "recurrent_split.h"

namespace rnnkit::RNNKIT_FAMILY {

// The sums of one thread, in the order in which they lie in its block of scratch.
enum class SumBlock : int {
    dw,
    du,
    dbias,
    dprojection,
    dpeephole,
    dgain_x,
    dshift_x,
    dgain_h,
    dshift_h,
    dgain_c,
    dshift_c,
};
constexpr int sum_blocks = 11;

// How many elements each sum has, and where it begins in a thread's block.
struct SumLayout {
    int64_t sizes[sum_blocks], starts[sum_blocks], total;

    static SumLayout of(const RecurrentProblem& problem, int64_t gates, int64_t bias_width) {
        const int64_t H = problem.hidden, S = problem.state, wide = gates * H;
        const int64_t norm = problem.normed ? wide : 0, cell_norm = problem.normed ? H : 0;
        SumLayout layout{{wide * problem.input, wide * S, bias_width, S != H ? S * H : 0, problem.peepholes ? 3 * H : 0,
                          norm, norm, norm, norm, cell_norm, cell_norm},
                         {},
                         0};
        for (int i = 0; i < sum_blocks; ++i) layout.starts[i] = layout.total, layout.total += layout.sizes[i];
        return layout;
    }
    int64_t size(SumBlock block) const { return sizes[static_cast<int>(block)]; }
    int64_t start(SumBlock block) const { return starts[static_cast<int>(block)]; }
};

// Where one thread's sums go: its own block of scratch, or the caller's arrays. Null where not wanted.
template <class T>
struct WeightGrads {
    T *dw, *du, *dbias, *dprojection, *dpeephole, *dgain_x, *dshift_x, *dgain_h, *dshift_h, *dgain_c, *dshift_c;
};

// `to` (+)= Σ left ⊗ right over the buffered steps. The left side lies in the gate_grads rows.
template <class T>
struct WeightSum {
    enum class Right { x, state, gate_grads };
    Right right;
    int64_t from, rows;  // of the left side: columns [from, from + rows) of a gate_grads row
    int64_t right_from = 0, columns;
    T* to;
    int64_t stride;           // between the rows of `to`
    bool transposed = false;  // `to` is [columns, rows]: fills the vectors better where columns are few
};
constexpr int max_sums = 8;

// Steps whose weight gradients are not summed yet. Each has a gate_grads row, written by the cell, and pointers to its
// input and to the state it started from. They are summed in the order of arrival: the same bits from run to run.
template <class T>
class StepBuffer {
public:
    void allocate(Arena& arena, int64_t rows, int64_t width) {
        capacity_ = rows > pair_block ? rows : pair_block;
        // Rows a power of two apart would evict each other from the first-level cache.
        stride_ = ceil_div(width, lanes<T>) * lanes<T> + lanes<T>;
        gate_grads_ = arena.allocate<T>(capacity_ * stride_);
        rows_ = arena.allocate<const T*>(capacity_), x_ = arena.allocate<const T*>(capacity_);
        with_state_ = arena.allocate<const T*>(capacity_), states_ = arena.allocate<const T*>(capacity_);
        left_ = arena.allocate<const T*>(capacity_), dx_ = arena.allocate<T*>(capacity_);
    }
    void begin() { count_ = states_count_ = 0, first_ = true; }
    bool is_full_for(int64_t rows) const { return count_ + rows > capacity_; }

    // A gate_grads row for a step. `state` is null where the step started from zeros. With `recurrent_offset` >= 0 U
    // was multiplied by what the row holds from there on, else by the state. `dx` is made of what it holds from
    // `dx_offset` on.
    T* add(const T* x, const T* state, int64_t recurrent_offset, T* dx, int64_t dx_offset) {
        T* const row = gate_grads_ + count_ * stride_;
        left_[count_] = row + dx_offset, dx_[count_] = dx;
        rows_[count_] = row, x_[count_++] = x;
        if (state != nullptr)
            with_state_[states_count_] = row,
            states_[states_count_++] = recurrent_offset >= 0 ? row + recurrent_offset : state;
        return row;
    }

    void sum(const WeightSum<T>* sums, int count, T* scratch) const {
        using Right = typename WeightSum<T>::Right;
        for (int i = 0; i < count; ++i) {
            const WeightSum<T>& one = sums[i];
            const bool state = one.right == Right::state;
            const Columns<T> left{state ? with_state_ : rows_, one.from, one.rows};
            const Columns<T> right{state ? states_ : one.right == Right::x ? x_ : rows_, one.right_from, one.columns};
            const int64_t pairs = state ? states_count_ : count_;
            if (one.transposed)
                outer_product(right, left, pairs, one.to, one.stride, first_, scratch);
            else
                outer_product(left, right, pairs, one.to, one.stride, first_, scratch);
        }
    }
    int64_t count() const { return count_; }
    // dx = Wᵀ · gate_grads of the last `n` rows, the panels [panel, panel_end).
    void propagate(int64_t n, const Panels<T>& panels, int64_t panel, int64_t panel_end, const T* packed,
                   int64_t depth) const {
        const Segment<T> segment[] = {{left_ + count_ - n, packed, depth}};
        multiply_rows(panels, panel, panel_end, n, segment, Target<T>{dx_ + count_ - n});
    }
    // to[i] (+)= Σ of element `from` + i of the gate_grads rows.
    void sum_rows(int64_t from, int64_t n, T* to) const {
        int64_t i = 0;
        for (; i + 4 * lanes<T> <= n; i += 4 * lanes<T>) sum_vectors<4>(from + i, n - i, to + i);
        for (; i < n; i += lanes<T>) sum_vectors<1>(from + i, n - i, to + i);
    }
    void clear() { count_ = states_count_ = 0, first_ = false; }

private:
    // Several vectors at a time: an addition takes longer than the next one has to wait for.
    template <int N>
    RNNKIT_INLINE void sum_vectors(int64_t from, int64_t n, T* to) const {
        vec<T> total[N]{};
        for (int64_t k = 0; k < count_; ++k)
            for (int v = 0; v < N; ++v) total[v] += load_upto(rows_[k] + from + v * lanes<T>, n - v * lanes<T>);
        for (int v = 0; v < N; ++v, to += lanes<T>, n -= lanes<T>)
            store_upto(to, first_ ? total[v] : load_upto(to, n) + total[v], n);
    }

    int64_t capacity_, stride_, count_, states_count_;
    bool first_;
    T* gate_grads_;
    const T **rows_, **x_, **with_state_, **states_, **left_;
    T** dx_;
};

}  // namespace rnnkit::RNNKIT_FAMILY
