#include "parallel.h"

#include <atomic>

#include "clock.h"
#include "contention.h"
#include "job.h"
#include "openmp.h"
#include "pool.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace rnnkit {

namespace {

// How long the pool's workers wait for the next call before they sleep, in seconds. Free cores have nothing better to
// do; on cores that others want, a thread that spins uses up its turn before it has work.
constexpr double free_spin = 2e-3, contended_spin = 2e-5;

std::atomic<bool> forked{false};

void watch_forks() {
#if defined(__unix__) || defined(__APPLE__)
    static const int registered = pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
    (void)registered;
#endif
}

Contention& contention() {
    static Contention watch;
    return watch;
}

// False where the caller has to work alone.
bool run_together(const Job& job) {
    const double began = seconds();
    const bool contended = contention().found(job.count, began);
    openmp_wait_asleep(contended, job.count);
    if (contended || !openmp_loaded()) return Pool::instance().try_run(job, contended ? contended_spin : free_spin);
    double own = began;
    openmp_run(job, own);
    contention().observe(began, own, seconds());
    return true;
}

}  // namespace

void parallel(int count, void (*body)(void*, int, int), void* context) {
    watch_forks();
    const Job job{body, context, count};
    if (count > 1 && !forked.load(std::memory_order_relaxed) && run_together(job)) return;
    for (int index = 0; index < count; ++index) job.run(index);
}

double busy_cores_of_others() { return contention().others(seconds()); }
void assume_busy_cores_of_others(double cores) { contention().assume(cores); }

const char* thread_runtime() {
    if (forked.load()) return "serial";
    return openmp_loaded() ? "libgomp" : "pool";
}

}  // namespace rnnkit
