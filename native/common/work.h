// How many threads a product is worth.
#pragma once

#include "tile.h"

namespace rnnkit::RNNKIT_FAMILY {

// Floating-point operations of a call for each thread. Measured on two cores: one thread is as fast up to 1.7 million,
// and two are 1.5 times faster at 5 million.
constexpr double flops_per_thread = 1.5e6;
// Operations that take as long as reading a byte of the weights: with few rows a product waits for its weights.
constexpr double flops_per_byte = 3;

// The work of a product of so many rows with so many weights, in floating-point operations.
RNNKIT_INLINE double work_of(int64_t rows, int64_t weights, size_t element) {
    const double products = 2.0 * static_cast<double>(rows * weights);
    const double reading = flops_per_byte * static_cast<double>(weights) * static_cast<double>(element);
    return rows == 0 || products > reading ? products : reading;
}

// At least one thread, and at most `threads`.
RNNKIT_INLINE int64_t threads_for(double work, int64_t threads) {
    const int64_t wanted = smaller(threads, 1 + static_cast<int64_t>(work / flops_per_thread));
    return wanted < 1 ? 1 : wanted;
}

}  // namespace rnnkit::RNNKIT_FAMILY
