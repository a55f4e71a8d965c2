// The loss of a transducer (Graves 2012), summed over all alignments of the labels with the frames, and its gradient.
// README.md has the equations.
//
// Legend: B rows, T frames, U labels, V vocabulary with the blank. A row b has T_b frames and U_b labels. Its lattice
// has the nodes (t, u), 0 <= t < T_b, 0 <= u <= U_b. Nothing is read outside of it.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace rnnkit {

struct TransducerProblem {
    int64_t batch, frames, labels, vocabulary;  // T and U of the arrays
    int64_t blank;                              // in [0, V)
    int threads;                                // an upper bound; small calls use fewer
    const int64_t* frame_lengths;               // T_b [B], in [1, T]
    const int64_t* label_lengths;               // U_b [B], in [0, U]
    const int64_t* targets;                     // y [B, U]; within the lengths in [0, V) and not the blank
};

// Bytes of scratch, with slack for alignment.
size_t transducer_scratch(const TransducerProblem&, bool backward);
// losses [B] = −ln P(y | x) of logits [B, T, U + 1, V]; +∞ where no alignment is possible.
void transducer_forward(const TransducerProblem&, const float* logits, float* losses, void* scratch);
// dlogits [B, T, U + 1, V] from dlosses [B]: 0 outside of the lattices, and in rows whose loss is +∞. It also serves as
// working memory, so it may not be the logits.
void transducer_backward(const TransducerProblem&, const float* logits, const float* dlosses, float* dlogits,
                         void* scratch);

#define RNNKIT_DECLARE_TRANSDUCER(family)                                                          \
    namespace family {                                                                             \
    size_t transducer_scratch(const TransducerProblem&, bool);                                     \
    void transducer_forward(const TransducerProblem&, const float*, float*, void*);                \
    void transducer_backward(const TransducerProblem&, const float*, const float*, float*, void*); \
    }
RNNKIT_DECLARE_TRANSDUCER(generic)
RNNKIT_DECLARE_TRANSDUCER(avx2)
RNNKIT_DECLARE_TRANSDUCER(avx512)

}  // namespace rnnkit
