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

// The same with W in 8 bits: numbers between -127 and 127, and a scale for each output. Rows of x are quantised as they
// come (common/int8.h). F is at most 65,536. `threads` is what the scratch was made for, or less.
size_t int8_linear_scratch(const LinearProblem&);
void int8_linear_pack(const LinearProblem&, const int8_t* weight, const float* scales, void* scratch);
void int8_linear_forward(const LinearProblem&, const LinearCall<float>&);

#define RNNKIT_DECLARE_INT8_LINEAR(family)                                                                 \
    namespace family {                                                                                     \
    size_t int8_linear_scratch(const LinearProblem&);                                                      \
    void int8_linear_pack(const LinearProblem&, const int8_t* weight, const float* scales, void* scratch); \
    void int8_linear_forward(const LinearProblem&, const LinearCall<float>&);                              \
    }
RNNKIT_DECLARE_INT8_LINEAR(int8_generic)
RNNKIT_DECLARE_INT8_LINEAR(int8_avx2)
RNNKIT_DECLARE_INT8_LINEAR(int8_avx512)
RNNKIT_DECLARE_INT8_LINEAR(int8_avxvnni)
RNNKIT_DECLARE_INT8_LINEAR(int8_avx512vnni)
RNNKIT_DECLARE_INT8_LINEAR(int8_emulated)

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
