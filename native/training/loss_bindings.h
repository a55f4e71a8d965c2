#pragma once

#include <nanobind/nanobind.h>

namespace rnnkit {

// Adds TransducerF32 to the module.
void bind_losses(nanobind::module_&);

}  // namespace rnnkit
