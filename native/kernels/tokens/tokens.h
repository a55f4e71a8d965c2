// Choosing the next tokens from logits: a draw from the filtered distribution, and the best continuations of beams.
//
// Legend: B rows, V vocabulary, W hypotheses of a source.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace rnnkit {

// The filters, in their order. Each sees what the one before left; a token that one drops has the logit −∞.
struct Filters {
    double temperature;  // divides the logits, above 0
    int64_t top_k;       // keeps x_i ≥ the k-th largest; 0: all
    double top_p;  // keeps the smallest set of the largest with Σ p_i ≥ top_p, of equal ones those of lower id; 1: all
    double min_p;  // keeps p_i ≥ min_p · max p; 0: all
};

// Of each row the first token with Σ_{j≤i} p_j > u; V where a logit is NaN or +∞, or all are −∞.
template <class T>
struct TokenDraw {
    const T* logits;        // [B, V]
    const double* uniform;  // u [B] in [0, 1)
    int64_t* ids;           // [B]
    int64_t rows, vocabulary;
    void* scratch;  // any content
};

// The `count` largest of ln p + score over the W rows of each source, the largest first: what is missing is −∞. Where
// a row's logits are NaN or +∞, or all −∞, the source's values are NaN. Rows of score −∞ are left out.
template <class T>
struct Continuations {
    const T* logits;        // [sources W, V]
    const T* scores;        // [sources, W]
    const int64_t* banned;  // ids that may not follow
    int64_t bans, sources, width, vocabulary, count;
    T* values;        // [sources, count]
    int64_t* places;  // [sources, count]: row of the source · V + id
};

#define RNNKIT_DECLARE_TOKENS                                   \
    size_t draw_scratch(int64_t vocabulary, size_t element);    \
    void draw_tokens(const Filters&, const TokenDraw<float>&);  \
    void draw_tokens(const Filters&, const TokenDraw<double>&); \
    void best_continuations(const Continuations<float>&);       \
    void best_continuations(const Continuations<double>&);
// draw_scratch: bytes of scratch of a draw, with slack for alignment. `element`: bytes of a number.
RNNKIT_DECLARE_TOKENS
namespace generic {
RNNKIT_DECLARE_TOKENS
}
namespace avx2 {
RNNKIT_DECLARE_TOKENS
}
namespace avx512 {
RNNKIT_DECLARE_TOKENS
}

}  // namespace rnnkit
