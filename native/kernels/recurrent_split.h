// How a call's work is split over threads, and the packed weights of each thread.
//
// The split is one of two. By rows: each thread computes its own rows of the batch over the whole sequence and waits
// for no other. By hidden units, where the weights outgrow a core's cache or rows are fewer than threads: each thread
// computes its own units of all rows, with its own part of the weights, and the threads meet once a step. What an index
// of parallel() computes never depends on how many threads really run.
#pragma once

#include "../common/parallel.h"
#include "../common/rows.h"
#include "../common/work.h"
#include "recurrent.h"

namespace rnnkit::RNNKIT_FAMILY {

// With fewer weights than this, the calling thread alone packs them and adds up their gradients. That takes a few
// microseconds: less than another meeting of the threads costs where other processes want the cores too.
constexpr int64_t serial_weights = 1 << 17;

// With more bytes of packed weights than this, threads share the hidden units: the weights no longer stay in a core's
// own cache.
constexpr int64_t private_cache = 3 << 19;
// Floating-point operations of a step for each thread that make a meeting of the threads at every step worth while.
constexpr double flops_per_meeting = 4e5;

template <class T>
RNNKIT_INLINE T* at(const Strided<T>& array, int64_t b, int64_t t) {
    return array.data + b * array.batch + t * array.time;
}
template <class T>
RNNKIT_INLINE void fill(T* p, T value, int64_t n) {
    for (int64_t i = 0; i < n; ++i) p[i] = value;
}
template <class T>
RNNKIT_INLINE void copy(T* to, const T* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}
template <class T>
RNNKIT_INLINE void add(T* to, const T* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] += from[i];
}

// The time index at which a row of this length takes its s-th step.
RNNKIT_INLINE int64_t time_of(const RecurrentProblem& problem, int64_t length, int64_t s) {
    return problem.reverse ? length - 1 - s : s;
}
RNNKIT_INLINE bool resets_at(const RecurrentProblem& problem, int64_t b, int64_t t) {
    return problem.resets.data != nullptr && *at(problem.resets, b, t) != 0;
}

// Hidden units [begin, end).
struct Units {
    int64_t begin, end;

    RNNKIT_INLINE int64_t count() const { return end - begin; }
};
// The units of one of `threads` threads.
RNNKIT_INLINE Units units_of(const RecurrentProblem& problem, int thread, int threads) {
    return {share_begin(problem.hidden, threads, thread), share_begin(problem.hidden, threads, thread + 1)};
}

struct Split {
    int threads;
    bool by_units;
};

// `units_independent`: whether a unit's step reads nothing of the other units but h before the step.
inline Split split_for(const RecurrentProblem& problem, int64_t gates, bool units_independent, size_t element) {
    const int64_t weights = gates * problem.hidden * (problem.input + problem.state);
    const double step = work_of(problem.batch, weights, element);
    const int64_t wanted = threads_for(step * static_cast<double>(problem.time), problem.threads);
    const int64_t bytes = weights * static_cast<int64_t>(element);
    const int64_t by_units =
        smaller(wanted, smaller(problem.hidden / 32, static_cast<int64_t>(step / flops_per_meeting)));
    const bool outgrown = bytes > private_cache;
    // A single step of few rows waits for its weights, of which each thread then reads its own part alone.
    const bool waits = problem.time == 1 && 2.0 * static_cast<double>(problem.batch * weights) < step;
    if (units_independent && by_units > 1 && (outgrown || waits || problem.batch < wanted))
        return {static_cast<int>(by_units), true};
    // One thread reads W once for several steps, too.
    if (units_independent && outgrown && wanted == 1) return {1, true};
    const int64_t by_rows = smaller(wanted, problem.batch);
    return {static_cast<int>(by_rows < 1 ? 1 : by_rows), false};
}

// With more rows than this a thread takes them in blocks, each through all steps: so the gradients of the gates and the
// saved rows of a step stay in a core's own cache. (A GRU of 64 units has 2 KiB of both a row, 256 KiB a block.) Blocks
// of half the size were slower forward: what a step writes to memory comes in pieces that are too short.
constexpr int64_t row_block = 128;

// The positions [from, from + rows) of a thread, in nearly equal blocks.
struct RowBlocks {
    int64_t from, rows, count;

    RNNKIT_INLINE RowBlocks(int64_t first, int64_t end)
        : from(first), rows(end - first), count(ceil_div(rows, row_block)) {}
    RNNKIT_INLINE int64_t begin(int64_t block) const { return from + share_begin(rows, count, block); }
};

// Rows [from, from + count) of the weights. Their products with the input, the state or both are summed in columns
// [to, to + count) of a work row.
struct WeightBlock {
    int64_t from, count, to;
    bool with_x, with_h;
};
constexpr int max_blocks = 6;

// Which products of a step are computed: those with the input, those with the state, which are added to the former,
// both one by one, both as one sum, or both as one sum that is added to what the work rows hold in place of W x.
enum class Products : int { of_input, of_state, apart, together, onto };

// The weights that one thread multiplies by: those of its hidden units, and where they lie packed.
template <class T>
struct ThreadWeights {
    using Source = RecurrentWeights<T>;
    static constexpr size_t element = sizeof(T);  // bytes of a weight

    Units units;
    int count;
    WeightBlock blocks[max_blocks];
    T* packed;

    // Takes memory for the packed weights, or uses another thread's.
    void allocate(Arena& arena, const RecurrentProblem& problem, const ThreadWeights* other) {
        packed = other != nullptr ? other->packed : arena.allocate<T>(packed_size(problem));
    }

    int64_t packed_size(const RecurrentProblem& problem) const {
        int64_t size = 0;
        for (int i = 0; i < count; ++i)
            size += Panels<T>(blocks[i].count).padded() *
                    ((blocks[i].with_x ? problem.input : 0) + (blocks[i].with_h ? problem.state : 0));
        return size;
    }

    // Packs the panels number `thread`, `thread` + `threads`, ... of all blocks.
    void pack(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, int thread, int threads) const {
        T* to = packed;
        int64_t number = 0;
        for (int i = 0; i < count; ++i) {
            const WeightBlock& block = blocks[i];
            const Panels<T> panels(block.count);
            const auto pack_rows = [&](const T* w, int64_t depth) {
                const Matrix<T> rows{w + block.from * depth, depth, true};
                for (int64_t p = 0; p < panels.count; ++p)
                    if (number++ % threads == thread)
                        pack_panel(panels, p, rows, depth, to + panels.start(p) * lanes<T> * depth);
                to += panels.padded() * depth;
            };
            if (block.with_x) pack_rows(weights.w, problem.input);
            if (block.with_h) pack_rows(weights.u, problem.state);
        }
    }

    // The products of all blocks, written to the rows `work`; `bias` is laid out as a work row.
    void multiply(const RecurrentProblem& problem, Products products, int64_t rows, const T* const* x,
                  const T* const* h, const T* bias, T* const* work) const {
        const bool of_input = products == Products::of_input || products == Products::apart;
        const bool of_state = products == Products::of_state || products == Products::apart;
        const T* from = packed;
        for (int i = 0; i < count; ++i) {
            const WeightBlock& block = blocks[i];
            const Panels<T> panels(block.count);
            const int64_t x_depth = block.with_x ? problem.input : 0, h_depth = block.with_h ? problem.state : 0;
            const Segment<T> both[] = {{x, from, x_depth}, {h, from + panels.padded() * x_depth, h_depth}};
            const Segment<T> of_x[] = {both[0]}, of_h[] = {both[1]};
            Target<T> target{work, block.to, bias != nullptr ? bias + block.to : nullptr};
            if (products == Products::together || products == Products::onto) {
                target.add = products == Products::onto && block.with_x;
                multiply_rows(panels, rows, both, target);
            }
            if (of_input && block.with_x) multiply_rows(panels, rows, of_x, target);
            target.add = block.with_x;
            if (of_state && block.with_h) multiply_rows(panels, rows, of_h, target);
            from += panels.padded() * (x_depth + h_depth);
        }
    }

    // The product with a further matrix [columns, depth], which the cell packed: its projection, or U_n behind a reset.
    void multiply_further(int64_t columns, int64_t depth, const T* further, int64_t rows, const T* const* left,
                          Target<T> target) const {
        const Segment<T> segment[] = {{left, further, depth}};
        multiply_rows(Panels<T>(columns), rows, segment, target);
    }
};

}  // namespace rnnkit::RNNKIT_FAMILY
