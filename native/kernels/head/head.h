// A linear layer on the last states of a recurrent body, and the mean loss of its outputs.
//
// Legend: B batch, S features of a state, C outputs.
//
//     z = h Wᵀ + b
//     cross-entropy       L = (1/B) Σ_b (log Σ_c e^{z_bc} − z_{b, y_b}),   y int64 [B], 0 <= y < C
//     squared error       L = (1/(B C)) Σ_bc (z_bc − y_bc)²,               y [B, C]
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace rnnkit {

enum class Loss : int { cross_entropy, squared_error };

struct HeadProblem {
    int64_t batch, features, outputs;  // 1 or more each
    Loss loss;
    int threads;  // an upper bound; small calls use fewer
};

template <class T>
struct HeadCall {
    const T* h;           // [B, S]
    const T* weight;      // [C, S]
    const T* bias;        // [C], or null
    const void* targets;  // int64 [B], or T [B, C]
    T* output;            // z [B, C]
    T* dh;                // [B, S]
    T *dweight, *dbias;   // [C, S], [C]; dbias is null where there is no bias
    void* scratch;        // any content
};

// Bytes of scratch, with slack for alignment. `element`: bytes of a number.
size_t head_scratch(const HeadProblem&, size_t element);
// Computes output and dh, and returns the loss. Targets are in range.
double head_loss(const HeadProblem&, const HeadCall<float>&);
double head_loss(const HeadProblem&, const HeadCall<double>&);
// Computes dweight and dbias, after head_loss with the same call.
void head_gradients(const HeadProblem&, const HeadCall<float>&);
void head_gradients(const HeadProblem&, const HeadCall<double>&);

#define RNNKIT_DECLARE_HEAD(family)                                   \
    namespace family {                                                \
    size_t head_scratch(const HeadProblem&, size_t);                  \
    double head_loss(const HeadProblem&, const HeadCall<float>&);     \
    double head_loss(const HeadProblem&, const HeadCall<double>&);    \
    void head_gradients(const HeadProblem&, const HeadCall<float>&);  \
    void head_gradients(const HeadProblem&, const HeadCall<double>&); \
    }
RNNKIT_DECLARE_HEAD(generic)
RNNKIT_DECLARE_HEAD(avx2)
RNNKIT_DECLARE_HEAD(avx512)

}  // namespace rnnkit
