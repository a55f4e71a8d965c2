// Long short-term memory. Gates i, f, g, o along the rows of W and U; README.md has the equations.
//
// `kind` is 0. A saved row holds the gates [4H] and c [H], with `normed` also U h [4H], W x [4H], and mean and 1/σ of W
// x, of U h and of c̃.
#pragma once

#include "../recurrent.h"

namespace rnnkit {
RNNKIT_DECLARE_RECURRENT(lstm)
}  // namespace rnnkit
