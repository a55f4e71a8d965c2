// Hands each call to its kernel, built for the CPU family in use.
#include "../common/cpu.h"
#include "bernoulli/bernoulli.h"
#include "gru/gru.h"
#include "head/head.h"
#include "linear/linear.h"
#include "lstm/lstm.h"
#include "simple_rnn/simple_rnn.h"
#include "tokens/tokens.h"
#include "transducer/transducer.h"
#include "update/update.h"

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
#if defined(RNNKIT_AVXVNNI)
#define RNNKIT_SERVE_AVXVNNI(function, ...) return int8_avxvnni::function(__VA_ARGS__);
#else
#define RNNKIT_SERVE_AVXVNNI(function, ...) return int8_avx2::function(__VA_ARGS__);
#endif
#define RNNKIT_SERVE_INT8(function, ...)                   \
    switch (chosen_int8_cpu()) {                           \
        case Cpu::avx512vnni:                              \
            return int8_avx512vnni::function(__VA_ARGS__); \
        case Cpu::avx512:                                  \
            return int8_avx512::function(__VA_ARGS__);     \
        case Cpu::avxvnni:                                 \
            RNNKIT_SERVE_AVXVNNI(function, __VA_ARGS__)    \
        case Cpu::avx2:                                    \
            return int8_avx2::function(__VA_ARGS__);       \
        default:                                           \
            return int8_generic::function(__VA_ARGS__);    \
    }
#else
#define RNNKIT_SERVE(function, ...) return generic::function(__VA_ARGS__);
#define RNNKIT_SERVE_INT8(function, ...) return int8_generic::function(__VA_ARGS__);
#endif

#define RNNKIT_SERVE_INT8_KERNEL(what, ...)                   \
    switch (problem.kernel) {                                 \
        case Kernel::simple_rnn:                              \
            RNNKIT_SERVE_INT8(simple_rnn_##what, __VA_ARGS__) \
        case Kernel::lstm:                                    \
            RNNKIT_SERVE_INT8(lstm_##what, __VA_ARGS__)       \
        default:                                              \
            RNNKIT_SERVE_INT8(gru_##what, __VA_ARGS__)        \
    }

#define RNNKIT_SERVE_KERNEL(what, ...)                   \
    switch (problem.kernel) {                            \
        case Kernel::simple_rnn:                         \
            RNNKIT_SERVE(simple_rnn_##what, __VA_ARGS__) \
        case Kernel::lstm:                               \
            RNNKIT_SERVE(lstm_##what, __VA_ARGS__)       \
        default:                                         \
            RNNKIT_SERVE(gru_##what, __VA_ARGS__)        \
    }

namespace rnnkit {

size_t recurrent_scratch(const RecurrentProblem& problem, size_t element, bool backward) {
    RNNKIT_SERVE_KERNEL(scratch, problem, element, backward);
}
int64_t recurrent_saved_width(const RecurrentProblem& problem) { RNNKIT_SERVE_KERNEL(saved_width, problem); }
void recurrent_pack(const RecurrentProblem& problem, const RecurrentWeights<float>& weights, void* scratch) {
    RNNKIT_SERVE_KERNEL(pack, problem, weights, scratch);
}
void recurrent_pack(const RecurrentProblem& problem, const RecurrentWeights<double>& weights, void* scratch) {
    RNNKIT_SERVE_KERNEL(pack, problem, weights, scratch);
}
void recurrent_forward(const RecurrentProblem& problem, const RecurrentForward<float>& call) {
    RNNKIT_SERVE_KERNEL(forward, problem, call);
}
void recurrent_forward(const RecurrentProblem& problem, const RecurrentForward<double>& call) {
    RNNKIT_SERVE_KERNEL(forward, problem, call);
}
void recurrent_backward(const RecurrentProblem& problem, const RecurrentBackward<float>& call) {
    RNNKIT_SERVE_KERNEL(backward, problem, call);
}
void recurrent_backward(const RecurrentProblem& problem, const RecurrentBackward<double>& call) {
    RNNKIT_SERVE_KERNEL(backward, problem, call);
}

size_t int8_scratch(const RecurrentProblem& problem) { RNNKIT_SERVE_INT8_KERNEL(scratch, problem); }
void int8_pack(const RecurrentProblem& problem, const RecurrentWeights<float>& weights, const Int8Weights& matrices,
               void* scratch) {
    RNNKIT_SERVE_INT8_KERNEL(pack, problem, weights, matrices, scratch);
}
void int8_forward(const RecurrentProblem& problem, const RecurrentForward<float>& call) {
    RNNKIT_SERVE_INT8_KERNEL(forward, problem, call);
}

void bernoulli(float* to, int64_t count, double probability, float value, uint64_t seed, int threads) {
    RNNKIT_SERVE(bernoulli, to, count, probability, value, seed, threads);
}
void bernoulli(double* to, int64_t count, double probability, double value, uint64_t seed, int threads) {
    RNNKIT_SERVE(bernoulli, to, count, probability, value, seed, threads);
}

size_t head_scratch(const HeadProblem& problem, size_t element) { RNNKIT_SERVE(head_scratch, problem, element); }
size_t linear_scratch(const LinearProblem& problem, size_t element) { RNNKIT_SERVE(linear_scratch, problem, element); }
size_t int8_linear_scratch(const LinearProblem& problem) { RNNKIT_SERVE_INT8(int8_linear_scratch, problem); }
void int8_linear_pack(const LinearProblem& problem, const int8_t* weight, const float* scales, void* scratch) {
    RNNKIT_SERVE_INT8(int8_linear_pack, problem, weight, scales, scratch);
}
void int8_linear_forward(const LinearProblem& problem, const LinearCall<float>& call) {
    RNNKIT_SERVE_INT8(int8_linear_forward, problem, call);
}
size_t draw_scratch(int64_t vocabulary, size_t element) { RNNKIT_SERVE(draw_scratch, vocabulary, element); }

size_t transducer_scratch(const TransducerProblem& problem, bool backward) {
    RNNKIT_SERVE(transducer_scratch, problem, backward);
}
void transducer_forward(const TransducerProblem& problem, const float* logits, float* losses, void* scratch) {
    RNNKIT_SERVE(transducer_forward, problem, logits, losses, scratch);
}
void transducer_backward(const TransducerProblem& problem, const float* logits, const float* dlosses, float* dlogits,
                         void* scratch) {
    RNNKIT_SERVE(transducer_backward, problem, logits, dlosses, dlogits, scratch);
}

#define RNNKIT_SERVE_TYPE(T)                                                                                          \
    double head_loss(const HeadProblem& problem, const HeadCall<T>& call) { RNNKIT_SERVE(head_loss, problem, call); } \
    void head_gradients(const HeadProblem& problem, const HeadCall<T>& call) {                                        \
        RNNKIT_SERVE(head_gradients, problem, call);                                                                  \
    }                                                                                                                 \
    void linear_pack(const LinearProblem& problem, const T* weight, void* scratch) {                                  \
        RNNKIT_SERVE(linear_pack, problem, weight, scratch);                                                          \
    }                                                                                                                 \
    void linear_forward(const LinearProblem& problem, const LinearCall<T>& call) {                                    \
        RNNKIT_SERVE(linear_forward, problem, call);                                                                  \
    }                                                                                                                 \
    void draw_tokens(const Filters& filters, const TokenDraw<T>& call) { RNNKIT_SERVE(draw_tokens, filters, call); }  \
    void best_continuations(const Continuations<T>& call) { RNNKIT_SERVE(best_continuations, call); }                 \
    void adam(const AdamSettings& settings, const Parameter<T>& parameter, int threads) {                             \
        RNNKIT_SERVE(adam, settings, parameter, threads);                                                             \
    }                                                                                                                 \
    void sgd(const SgdSettings& settings, const Parameter<T>& parameter, int threads) {                               \
        RNNKIT_SERVE(sgd, settings, parameter, threads);                                                              \
    }                                                                                                                 \
    double sum_of_squares(const T* numbers, int64_t count) { RNNKIT_SERVE(sum_of_squares, numbers, count); }          \
    void scale(T* numbers, int64_t count, double factor) { RNNKIT_SERVE(scale, numbers, count, factor); }
RNNKIT_SERVE_TYPE(float)
RNNKIT_SERVE_TYPE(double)

}  // namespace rnnkit
