// Hands each call to the build for the CPU family in use.
#include "../../common/cpu.h"
#include "simple_rnn_family.h"

#if defined(RNNKIT_X86)
#define RNNKIT_SERVE(function, ...)                                    \
    switch (chosen_cpu()) {                                            \
        case Cpu::avx512:                                              \
            return avx512::function(__VA_ARGS__);                      \
        case Cpu::avx2:                                                \
            return avx2::function(__VA_ARGS__);                        \
        default:                                                       \
            return generic::function(__VA_ARGS__);                     \
    }
#else
#define RNNKIT_SERVE(function, ...) return generic::function(__VA_ARGS__);
#endif

namespace rnnkit {

size_t simple_rnn_scratch(const SimpleRnnSizes& sizes, size_t element) {
    RNNKIT_SERVE(simple_rnn_scratch, sizes, element)
}
void simple_rnn_forward(const SimpleRnnSizes& sizes, const SimpleRnnForward<float>& call) {
    RNNKIT_SERVE(simple_rnn_forward, sizes, call)
}
void simple_rnn_forward(const SimpleRnnSizes& sizes, const SimpleRnnForward<double>& call) {
    RNNKIT_SERVE(simple_rnn_forward, sizes, call)
}
void simple_rnn_backward(const SimpleRnnSizes& sizes, const SimpleRnnBackward<float>& call) {
    RNNKIT_SERVE(simple_rnn_backward, sizes, call)
}
void simple_rnn_backward(const SimpleRnnSizes& sizes, const SimpleRnnBackward<double>& call) {
    RNNKIT_SERVE(simple_rnn_backward, sizes, call)
}

}  // namespace rnnkit
