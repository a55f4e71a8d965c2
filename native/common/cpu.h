// Which instruction sets this processor has, and which kernel family serves it.
#pragma once

namespace rnnkit {

// The last two are avx2 and avx512 with VNNI, whose instruction multiplies 8-bit numbers.
enum class Cpu : int { generic = 0, avx2 = 1, avx512 = 2, avxvnni = 3, avx512vnni = 4 };

// The family in use: the best that both this build and the processor have, or the one that RNNKIT_CPU names.
// Read once. `cpu_problem()` is empty unless RNNKIT_CPU asks for something that cannot be had.
Cpu chosen_cpu();
// The same for products of 8-bit numbers; a family that RNNKIT_CPU names without VNNI does without it.
Cpu chosen_int8_cpu();
bool cpu_available(Cpu cpu);
const char* cpu_name(Cpu cpu);
const char* cpu_problem();

}  // namespace rnnkit
