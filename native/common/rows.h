// The order in which the rows of a batch are computed, and which thread computes which.
#pragma once

#include "tile.h"

namespace rnnkit::RNNKIT_FAMILY {

// Allocates aligned pieces of the caller's scratch memory. With a null base it only counts.
class Arena {
public:
    explicit RNNKIT_INLINE Arena(void* base) : base_(reinterpret_cast<uintptr_t>(base)) {
        if (base_ != 0) base_ = (base_ + 63) & ~uintptr_t{63};
    }
    template <class E>
    RNNKIT_INLINE E* allocate(int64_t count) {
        const uintptr_t here = base_ + used_;
        used_ += (static_cast<uintptr_t>(count) * sizeof(E) + 63) & ~uintptr_t{63};
        return reinterpret_cast<E*>(here);
    }
    RNNKIT_INLINE size_t used() const { return used_ + 64; }

private:
    uintptr_t base_, used_ = 0;
};

// Position p holds row `row[p]` of the batch, with `length[p]` valid steps. Each thread owns adjacent positions, sorted
// by length, longest first. So the rows that still run at a step are the first ones of the thread.
struct RowOrder {
    int64_t batch, longest;
    int threads;
    int64_t* row;
    int64_t* length;

    RNNKIT_INLINE void allocate(Arena& arena, int64_t rows) {
        batch = rows;
        row = arena.allocate<int64_t>(rows);
        length = arena.allocate<int64_t>(rows);
    }
    RNNKIT_INLINE int64_t begin(int thread) const { return share_begin(batch, threads, thread); }

    // Sorts the rows (by counting, stable) and assigns them to the threads in turn, so that every thread gets the same
    // mix. `counts` is scratch for time + 1 numbers, `sorted` for one a row; both are used with lengths only.
    void sort(const int64_t* lengths, int64_t time, int thread_count, int64_t* counts, int64_t* sorted) {
        threads = thread_count;
        longest = batch > 0 ? time : 0;
        if (lengths == nullptr) {
            for (int64_t p = 0; p < batch; ++p) row[p] = p, length[p] = time;
            return;
        }
        for (int64_t t = 0; t <= time; ++t) counts[t] = 0;
        for (int64_t b = 0; b < batch; ++b) ++counts[lengths[b]];
        int64_t before = 0;
        for (int64_t t = time; t >= 0; --t) {
            const int64_t here = counts[t];
            counts[t] = before;
            before += here;
        }
        for (int64_t b = 0; b < batch; ++b) sorted[counts[lengths[b]]++] = b;
        longest = batch > 0 ? lengths[sorted[0]] : 0;
        for (int thread = 0; thread < threads; ++thread) {
            int64_t rank = thread;
            for (int64_t p = begin(thread); p < begin(thread + 1); ++p, rank += threads) {
                row[p] = sorted[rank];
                length[p] = lengths[row[p]];
            }
        }
    }
};

}  // namespace rnnkit::RNNKIT_FAMILY
