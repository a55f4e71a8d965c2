// The product of a few rows with a weight that was packed once: y = x Wᵀ + b.
//
// For steps one by one, where reading the weight takes the time. Legend: R rows, F features, O outputs.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace rnnkit {

struct LinearProblem {
    int64_t rows, features, outputs;  // 1 or more each
    int threads;                      // an upper bound; small products use fewer
};

template <class T>
struct LinearCall {
    const T* x;           // [R, F]
    const T* bias;        // [O], or null
    T* out;               // [R, O]
    const void* scratch;  // as linear_pack left it
};

// Bytes of scratch, with slack for alignment. `element`: bytes of a number.
size_t linear_scratch(const LinearProblem&, size_t element);
// Packs W [O, F] into the scratch.
void linear_pack(const LinearProblem&, const float* weight, void* scratch);
void linear_pack(const LinearProblem&, const double* weight, void* scratch);
void linear_forward(const LinearProblem&, const LinearCall<float>&);
void linear_forward(const LinearProblem&, const LinearCall<double>&);

#define RNNKIT_DECLARE_LINEAR(family)                                     \
    namespace family {                                                    \
    size_t linear_scratch(const LinearProblem&, size_t);                  \
    void linear_pack(const LinearProblem&, const float*, void*);          \
    void linear_pack(const LinearProblem&, const double*, void*);         \
    void linear_forward(const LinearProblem&, const LinearCall<float>&);  \
    void linear_forward(const LinearProblem&, const LinearCall<double>&); \
    }
RNNKIT_DECLARE_LINEAR(generic)
RNNKIT_DECLARE_LINEAR(avx2)
RNNKIT_DECLARE_LINEAR(avx512)

}  // namespace rnnkit
