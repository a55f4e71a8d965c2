// The simple recurrent layer: h_t = σ(W x_t + U h_{t-1} + b). README.md has the equations.
//
// Variants, by σ: `tanh`, `relu`, `sigmoid`. A saved row is empty; with `zoned_h` it holds σ(...) [H], with `normed`
// that, U h and W x [H each], and the mean and 1/σ of W x and of U h.
#pragma once

#include "../recurrent.h"

namespace rnnkit {
RNNKIT_DECLARE_RECURRENT(simple_rnn)
}  // namespace rnnkit
