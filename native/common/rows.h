// Which rows of a batch each thread walks, and in which order: shared by every recurrent kernel.
#pragma once

#include "tile.h"

namespace rnnkit::RNNKIT_FAMILY {

// Hands out aligned pieces of the caller's scratch memory. With a null base it only counts.
class Arena {
public:
    explicit RNNKIT_INLINE Arena(void* base) : base_(reinterpret_cast<uintptr_t>(base)) {
        if (base_ != 0) base_ = (base_ + 63) & ~uintptr_t{63};
    }
    template <class E>
    RNNKIT_INLINE E* take(int64_t count) {
        const uintptr_t here = base_ + used_;
        used_ += (static_cast<uintptr_t>(count) * sizeof(E) + 63) & ~uintptr_t{63};
        return reinterpret_cast<E*>(here);
    }
    RNNKIT_INLINE size_t used() const { return used_ + 64; }

private:
    uintptr_t base_, used_ = 0;
};

// Places of the batch's rows: place p holds row `row[p]` with `length[p]` valid steps. Each thread owns adjacent places
// and finds them sorted by length, longest first, so that the rows still running at a step are a prefix.
struct Places {
    int64_t batch, longest;
    int threads;
    int64_t* row;
    int64_t* length;

    RNNKIT_INLINE void take(Arena& arena, int64_t rows) {
        batch = rows;
        row = arena.take<int64_t>(rows);
        length = arena.take<int64_t>(rows);
    }
    RNNKIT_INLINE int64_t begin(int thread) const { return share_begin(batch, threads, thread); }

    // Sorts (by counting, stable) and deals the sorted rows out like cards, so every thread gets the same mix.
    // `counts` is scratch for time + 1 numbers, used with lengths only.
    void fill(const int64_t* lengths, int64_t time, int thread_count, int64_t* counts, int64_t* sorted) {
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
            int64_t card = thread;
            for (int64_t p = begin(thread); p < begin(thread + 1); ++p, card += threads) {
                row[p] = sorted[card];
                length[p] = lengths[row[p]];
            }
        }
    }
};

}  // namespace rnnkit::RNNKIT_FAMILY
