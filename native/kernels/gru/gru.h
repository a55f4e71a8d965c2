// The gated recurrent unit. README.md has the equations.
//
// Rows of W and U: the gates r, z, n. Variants: `reset_after`, and `reset_before` without `normed`. A saved row holds
// r, z, n and q = U_n h + b_n [4H]; with `normed` also U h and W x [3H each], and the mean and 1/σ of W x and of U h.
#pragma once

#include "../recurrent.h"

namespace rnnkit {
RNNKIT_DECLARE_RECURRENT(gru)
}  // namespace rnnkit
