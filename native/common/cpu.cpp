#include "cpu.h"

#include <cstdlib>
#include <cstring>

#if defined(RNNKIT_X86)
#include <cpuid.h>
#endif

namespace rnnkit {

namespace {

#if defined(RNNKIT_AVXVNNI)
// Not every compiler knows this one by name.
bool has_avx_vnni() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}
#endif

struct Choice {
    Cpu cpu = Cpu::generic, int8 = Cpu::generic;
    const char* problem = "";
};

// The family that serves what needs no VNNI.
Cpu without_vnni(Cpu cpu) { return cpu == Cpu::avx512vnni ? Cpu::avx512 : cpu == Cpu::avxvnni ? Cpu::avx2 : cpu; }

Choice choose() {
    constexpr Cpu best_first[] = {Cpu::avx512vnni, Cpu::avx512, Cpu::avxvnni, Cpu::avx2, Cpu::generic};
    const char* wanted = std::getenv("RNNKIT_CPU");
    const bool forced = wanted != nullptr && *wanted != '\0';
    for (Cpu cpu : best_first) {
        if (!forced && cpu_available(cpu)) return {without_vnni(cpu), cpu, ""};
        if (forced && std::strcmp(wanted, cpu_name(cpu)) == 0) {
            if (cpu_available(cpu)) return {without_vnni(cpu), cpu, ""};
            return {Cpu::generic, Cpu::generic,
                    "RNNKIT_CPU names an instruction set that this processor or this build lacks"};
        }
    }
    return {Cpu::generic, Cpu::generic, "RNNKIT_CPU is none of avx512vnni, avx512, avxvnni, avx2, generic"};
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
        case Cpu::avxvnni:
#if defined(RNNKIT_AVXVNNI)
            return cpu_available(Cpu::avx2) && has_avx_vnni();
#else
            return false;
#endif
        case Cpu::avx512vnni:
            return cpu_available(Cpu::avx512) && __builtin_cpu_supports("avx512vnni");
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
        case Cpu::avxvnni:
            return "avxvnni";
        case Cpu::avx512vnni:
            return "avx512vnni";
        default:
            return "generic";
    }
}

Cpu chosen_cpu() { return choice().cpu; }
Cpu chosen_int8_cpu() { return choice().int8; }
const char* cpu_problem() { return choice().problem; }

}  // namespace rnnkit
