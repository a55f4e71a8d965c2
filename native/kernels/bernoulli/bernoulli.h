// Random masks: each number is `value` with a probability, else 0.
//
// Number i is a hash of (seed, i), so it depends neither on threads nor on the CPU family: two rounds of a 32-bit
// mixing function (xor-shifts and odd multipliers, each round a bijection) on the index, keyed by the halves of the
// seed. Meant for dropout, not for cryptography. The probability is rounded down to a multiple of 2^-32; 1 counts as 1
// - 2^-32.
#pragma once

#include <stdint.h>

namespace rnnkit {

void bernoulli(float* to, int64_t count, double probability, float value, uint64_t seed, int threads);
void bernoulli(double* to, int64_t count, double probability, double value, uint64_t seed, int threads);

#define RNNKIT_DECLARE_BERNOULLI(family)                             \
    namespace family {                                               \
    void bernoulli(float*, int64_t, double, float, uint64_t, int);   \
    void bernoulli(double*, int64_t, double, double, uint64_t, int); \
    }
RNNKIT_DECLARE_BERNOULLI(generic)
RNNKIT_DECLARE_BERNOULLI(avx2)
RNNKIT_DECLARE_BERNOULLI(avx512)

}  // namespace rnnkit
