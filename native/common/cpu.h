// Which instruction sets this processor has, and which kernel family serves it.
#pragma once

namespace rnnkit {

enum class Cpu : int { generic = 0, avx2 = 1, avx512 = 2 };

// The family in use: the best that both this build and the processor have, or the one that RNNKIT_CPU names.
// Read once. `cpu_problem()` is empty unless RNNKIT_CPU asks for something that cannot be had.
Cpu chosen_cpu();
bool cpu_available(Cpu cpu);
const char* cpu_name(Cpu cpu);
const char* cpu_problem();

}  // namespace rnnkit
