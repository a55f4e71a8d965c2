#pragma once

#include <nanobind/nanobind.h>

namespace rnnkit {

// Adds GradientStepF32, UpdateF32 and their counterparts of double precision to the module, and Loss.
void bind_training(nanobind::module_&);

}  // namespace rnnkit
