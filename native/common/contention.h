// Whether other programs use the cores.
#pragma once

#include <atomic>

namespace rnnkit {

// A thread that the scheduler has stopped keeps all that wait for it, for milliseconds where the work takes a tenth of
// one. So the manner of waiting depends on whether the threads find a core each.
class Contention {
public:
    // Whether `threads` threads have to share their cores with other programs.
    bool found(int threads, double now);

    // A parallel call took far longer than the caller's own share of it, which took until `own`: other programs are
    // there until the contrary is seen. For systems without counters, and between two readings.
    void observe(double began, double own, double ended);

    // The cores that other programs keep busy, by the system's counters, which are read a few times a second at most;
    // negative before the second time and where the system has none.
    double others(double now);

    // Takes this for the cores that other programs use, without reading; negative: reads again. For tests.
    void assume(double others);

private:
    static constexpr double least_suspicion = 0.02, longest_suspicion = 8;  // seconds

    void read_counters(double now);

    std::atomic<double> next_reading_{0}, others_{-1}, assumed_{-1};
    std::atomic<double> suspected_until_{0}, suspicion_{least_suspicion};  // seconds
    std::atomic<double> last_{0};                                          // when the last observed call ended
    std::atomic<int> cores_{0};                                            // that the process may use
    std::atomic<bool> reading_{false};
    std::atomic<double> rivals_{0};          // cores that others kept busy when this process last worked
    double busy_ = -1, own_ = 0, read_ = 0;  // of the thread that reads
};

}  // namespace rnnkit
