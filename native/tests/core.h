// The kernels by number, as bindings.cpp has them.
#pragma once

#include "../kernels/gru/gru.h"
#include "../kernels/lstm/lstm.h"
#include "../kernels/simple_rnn/simple_rnn.h"
#include "problem.h"

namespace core {

#define RNNKIT_TEST_KERNEL(what, ...)                                \
    (kernel == ::simple_rnn ? rnnkit::simple_rnn_##what(__VA_ARGS__) \
     : kernel == ::lstm     ? rnnkit::lstm_##what(__VA_ARGS__)       \
                            : rnnkit::gru_##what(__VA_ARGS__))

inline size_t scratch(Kernel kernel, const rnnkit::RecurrentSizes& sizes, size_t element, bool backward) {
    return RNNKIT_TEST_KERNEL(scratch, sizes, element, backward);
}
inline int64_t saved(Kernel kernel, const rnnkit::RecurrentSizes& sizes) { return RNNKIT_TEST_KERNEL(saved, sizes); }
template <class T>
void pack(Kernel kernel, const rnnkit::RecurrentSizes& sizes, const rnnkit::RecurrentWeights<T>& weights,
          void* scratch) {
    RNNKIT_TEST_KERNEL(pack, sizes, weights, scratch);
}
template <class T>
void run(Kernel kernel, const rnnkit::RecurrentSizes& sizes, const rnnkit::RecurrentForward<T>& call) {
    RNNKIT_TEST_KERNEL(run, sizes, call);
}
template <class T>
void backward(Kernel kernel, const rnnkit::RecurrentSizes& sizes, const rnnkit::RecurrentBackward<T>& call) {
    RNNKIT_TEST_KERNEL(backward, sizes, call);
}
#undef RNNKIT_TEST_KERNEL

}  // namespace core
