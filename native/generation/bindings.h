#pragma once

#include <nanobind/nanobind.h>

namespace rnnkit {

// Adds LinearF32, draw_tokens_f32, best_continuations_f32 and their counterparts of double precision to the module.
void bind_generation(nanobind::module_&);

}  // namespace rnnkit
