// The gated recurrent unit. Gates r, z, n along the rows of W and U; README.md has the equations.
//
// `kind` is 1 where the reset gate acts before the recurrent product (no `normed` then), else 0. A saved row holds r,
// z, n and q = U_n h + b_n [4H], with `normed` also U h and W x [3H] each, and mean and 1/σ of W x and of U h.
#pragma once

#include "../recurrent.h"

namespace rnnkit {
RNNKIT_DECLARE_RECURRENT(gru)
}  // namespace rnnkit
