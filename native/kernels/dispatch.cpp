// Hands each call of a kernel to the build for the CPU family in use.
#include "../common/cpu.h"
#include "bernoulli/bernoulli.h"
#include "gru/gru.h"
#include "lstm/lstm.h"
#include "simple_rnn/simple_rnn.h"

#define RNNKIT_DECLARE_ALL(family)                                   \
    namespace rnnkit::family {                                       \
    RNNKIT_DECLARE_RECURRENT(simple_rnn)                             \
    RNNKIT_DECLARE_RECURRENT(lstm)                                   \
    RNNKIT_DECLARE_RECURRENT(gru)                                    \
    void bernoulli(float*, int64_t, double, float, uint64_t, int);   \
    void bernoulli(double*, int64_t, double, double, uint64_t, int); \
    }
RNNKIT_DECLARE_ALL(generic)
RNNKIT_DECLARE_ALL(avx2)
RNNKIT_DECLARE_ALL(avx512)

#if defined(RNNKIT_X86)
#define RNNKIT_SERVE(function, ...)                \
    switch (chosen_cpu()) {                        \
        case Cpu::avx512:                          \
            return avx512::function(__VA_ARGS__);  \
        case Cpu::avx2:                            \
            return avx2::function(__VA_ARGS__);    \
        default:                                   \
            return generic::function(__VA_ARGS__); \
    }
#else
#define RNNKIT_SERVE(function, ...) return generic::function(__VA_ARGS__)
#endif

#define RNNKIT_DISPATCH_TYPE(name, T)                                                                  \
    void name##_pack(const RecurrentSizes& sizes, const RecurrentWeights<T>& weights, void* scratch) { \
        RNNKIT_SERVE(name##_pack, sizes, weights, scratch);                                            \
    }                                                                                                  \
    void name##_run(const RecurrentSizes& sizes, const RecurrentForward<T>& call) {                    \
        RNNKIT_SERVE(name##_run, sizes, call);                                                         \
    }                                                                                                  \
    void name##_backward(const RecurrentSizes& sizes, const RecurrentBackward<T>& call) {              \
        RNNKIT_SERVE(name##_backward, sizes, call);                                                    \
    }

#define RNNKIT_DISPATCH(name)                                                                \
    size_t name##_scratch(const RecurrentSizes& sizes, size_t element, bool backward) {      \
        RNNKIT_SERVE(name##_scratch, sizes, element, backward);                              \
    }                                                                                        \
    int64_t name##_saved(const RecurrentSizes& sizes) { RNNKIT_SERVE(name##_saved, sizes); } \
    RNNKIT_DISPATCH_TYPE(name, float)                                                        \
    RNNKIT_DISPATCH_TYPE(name, double)

namespace rnnkit {

RNNKIT_DISPATCH(simple_rnn)
RNNKIT_DISPATCH(lstm)
RNNKIT_DISPATCH(gru)

void bernoulli(float* to, int64_t count, double probability, float value, uint64_t seed, int threads) {
    RNNKIT_SERVE(bernoulli, to, count, probability, value, seed, threads);
}
void bernoulli(double* to, int64_t count, double probability, double value, uint64_t seed, int threads) {
    RNNKIT_SERVE(bernoulli, to, count, probability, value, seed, threads);
}

}  // namespace rnnkit
