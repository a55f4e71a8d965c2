// Long short-term memory. README.md has the equations.
//
// Rows of W and U: the gates i, f, g, o. Variant: `standard`. A saved row holds the gates [4H] and c [H]; with `normed`
// also U h [4H], W x [4H], and the mean and 1/σ of W x, of U h and of c̃.
#pragma once

#include "../recurrent.h"

namespace rnnkit {
RNNKIT_DECLARE_RECURRENT(lstm)
}  // namespace rnnkit
