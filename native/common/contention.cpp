#include "contention.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__linux__)
#include <fcntl.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
#endif

namespace rnnkit {

namespace {

constexpr double reading_interval = 0.25;  // seconds
// Cores that others may use before it matters: what runs in the background of every system, and the counters' noise.
constexpr double negligible = 0.3;
// Cores that this process has to have used between two readings for others to count as rivals: programs that were busy
// while it waited may have been so because it waited, as those do that take turns.
constexpr double least_work = 0.5;

#if defined(__linux__)

struct Usage {
    double busy;  // seconds that the process's cores have worked, for whomever
    int cores;
};

// From /proc/stat, of the cores that the process may use. False where it cannot be read. Time that a hypervisor takes
// away (steal) does not count: no manner of waiting in here brings it back.
bool read_usage(Usage& usage) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
    const int file = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    std::string text;
    char part[8192];
    for (ssize_t size; (size = read(file, part, sizeof part)) > 0;) {
        text.append(part, static_cast<size_t>(size));
        if (text.find("\nintr") != std::string::npos) break;  // behind the lines of the cores
    }
    close(file);
    const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
    usage = {0, 0};
    for (size_t line = 0; line < text.size(); line = text.find('\n', line) + 1) {
        int cpu;
        unsigned long long user, nice, system, idle, iowait, irq, softirq;
        if (std::sscanf(text.c_str() + line, "cpu%d %llu %llu %llu %llu %llu %llu %llu", &cpu, &user, &nice, &system,
                        &idle, &iowait, &irq, &softirq) == 8 &&
            cpu < CPU_SETSIZE && CPU_ISSET(cpu, &allowed)) {
            usage.busy += tick * static_cast<double>(user + nice + system + irq + softirq);
            ++usage.cores;
        }
        if (text.find('\n', line) == std::string::npos) break;
    }
    return usage.cores > 0;
}

double own_seconds() {
    timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return 0;
    return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

#endif

}  // namespace

double Contention::others(double now) {
    const double assumed = assumed_.load(std::memory_order_relaxed);
    if (assumed >= 0) return assumed;
    if (now >= next_reading_.load(std::memory_order_relaxed) && !reading_.exchange(true, std::memory_order_acquire)) {
        read_counters(now);
        next_reading_.store(now + reading_interval, std::memory_order_relaxed);
        reading_.store(false, std::memory_order_release);
    }
    return others_.load(std::memory_order_relaxed);
}

bool Contention::found(int threads, double now) {
    const double busy = others(now);
    if (assumed_.load(std::memory_order_relaxed) >= 0) return busy > negligible;
    if (now < suspected_until_.load(std::memory_order_relaxed)) return true;
    const double rivals = rivals_.load(std::memory_order_relaxed);
    return rivals > negligible && rivals > cores_.load(std::memory_order_relaxed) - threads + negligible;
}

void Contention::assume(double others) { assumed_.store(others, std::memory_order_relaxed); }

void Contention::read_counters(double now) {
#if defined(__linux__)
    Usage usage;
    if (!read_usage(usage)) return;
    const double own = own_seconds();
    if (busy_ >= 0 && now > read_) {
        const double others = std::max(0.0, (usage.busy - busy_ - (own - own_)) / (now - read_));
        const bool worked = own - own_ > least_work * (now - read_);
        others_.store(others, std::memory_order_relaxed);
        // What was found at work holds through a pause, unless they end in it.
        rivals_.store(worked ? others : std::min(others, rivals_.load(std::memory_order_relaxed)),
                      std::memory_order_relaxed);
    }
    cores_.store(usage.cores, std::memory_order_relaxed);
    busy_ = usage.busy, own_ = own, read_ = now;
#else
    (void)now;
#endif
}

void Contention::observe(double began, double own, double ended) {
    // After a pause the others sleep and the first meeting wakes them: it says nothing.
    const bool warm = began - last_.exchange(ended, std::memory_order_relaxed) < 5e-4;
    if (!warm) return;
    const bool late = ended - began > 3 * (own - began) + 2e-3;
    const double suspicion = suspicion_.load(std::memory_order_relaxed);
    if (late) suspected_until_.store(ended + suspicion, std::memory_order_relaxed);
    const double next = late ? 2 * suspicion : suspicion * 0.99;
    suspicion_.store(next < least_suspicion     ? least_suspicion
                     : next > longest_suspicion ? longest_suspicion
                                                : next,
                     std::memory_order_relaxed);
}

}  // namespace rnnkit
