// What each CPU family's build of simple_rnn.cpp offers to the dispatch in simple_rnn_dispatch.cpp.
#pragma once

#include "simple_rnn.h"

#define RNNKIT_DECLARE_SIMPLE_RNN(family)                                                                     \
    namespace rnnkit::family {                                                                                \
    size_t simple_rnn_scratch(const SimpleRnnSizes&, size_t element);                                         \
    void simple_rnn_forward(const SimpleRnnSizes&, const SimpleRnnForward<float>&);                           \
    void simple_rnn_forward(const SimpleRnnSizes&, const SimpleRnnForward<double>&);                          \
    void simple_rnn_backward(const SimpleRnnSizes&, const SimpleRnnBackward<float>&);                         \
    void simple_rnn_backward(const SimpleRnnSizes&, const SimpleRnnBackward<double>&);                        \
    }

RNNKIT_DECLARE_SIMPLE_RNN(generic)
RNNKIT_DECLARE_SIMPLE_RNN(avx2)
RNNKIT_DECLARE_SIMPLE_RNN(avx512)
