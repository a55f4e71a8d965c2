#include "cpu.h"

#include <cstdlib>
#include <cstring>

namespace rnnkit {

namespace {

struct Choice {
    Cpu cpu = Cpu::generic;
    const char* problem = "";
};

Choice choose() {
    constexpr Cpu best_first[] = {Cpu::avx512, Cpu::avx2, Cpu::generic};
    const char* wanted = std::getenv("RNNKIT_CPU");
    const bool forced = wanted != nullptr && *wanted != '\0';
    for (Cpu cpu : best_first) {
        if (!forced && cpu_available(cpu)) return {cpu, ""};
        if (forced && std::strcmp(wanted, cpu_name(cpu)) == 0) {
            if (cpu_available(cpu)) return {cpu, ""};
            return {Cpu::generic, "RNNKIT_CPU names an instruction set that this processor or this build lacks"};
        }
    }
    return {Cpu::generic, "RNNKIT_CPU is none of avx512, avx2, generic"};
}

const Choice& choice() {
    static const Choice chosen = choose();
    return chosen;
}

}  // namespace

bool cpu_available(Cpu cpu) {
    switch (cpu) {
        case Cpu::generic:
            return true;
#if defined(RNNKIT_X86)
        case Cpu::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        case Cpu::avx512:
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
        default:
            return false;
    }
}

const char* cpu_name(Cpu cpu) {
    switch (cpu) {
        case Cpu::avx512:
            return "avx512";
        case Cpu::avx2:
            return "avx2";
        default:
            return "generic";
    }
}

Cpu chosen_cpu() { return choice().cpu; }
const char* cpu_problem() { return choice().problem; }

}  // namespace rnnkit
