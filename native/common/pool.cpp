#include "pool.h"

#include <thread>

#include "clock.h"

namespace rnnkit {

namespace {

// How long the caller spins for pieces that others have begun. Then it sleeps: its core becomes free for a worker that
// the scheduler had stopped. Waking it costs about as long.
constexpr double caller_spin = 30e-6;

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Spins until `ready` or for `limit` seconds. Returns whether it became ready.
template <class Ready>
bool spin(double limit, Ready ready) {
    constexpr int checks_per_look = 16;  // at the clock
    if (ready()) return true;
    const double end = seconds() + limit;
    do {
        for (int i = 0; i < checks_per_look; ++i) {
            if (ready()) return true;
            pause();
        }
    } while (seconds() < end);
    return ready();
}

}  // namespace

Pool& Pool::instance() {
    static Pool* pool = new Pool;
    return *pool;
}

bool Pool::try_run(const Job& job, double idle_spin) {
    std::unique_lock owner(owner_, std::try_to_lock);
    if (!owner || job.count > max_pieces) return false;
    start_workers(job.count - 1);
    job_ = job;
    idle_spin_.store(idle_spin, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    const uint64_t number = (published_.load(std::memory_order_relaxed) >> 16) + 1;
    for (int i = 0; i < job.count; ++i) claims_[i].store(2 * number, std::memory_order_release);
    published_.store(number << 16 | static_cast<uint64_t>(job.count), std::memory_order_release);
    bell_.fetch_add(1, std::memory_order_release);
    bell_.notify_all();
    // From the last piece down: the workers begin with those of their own number.
    run_pieces(number, job.count, 0, job.count - 1);
    wait_until_done(job.count);
    return true;
}

void Pool::start_workers(int wanted) {
    for (; workers_ < wanted; ++workers_) std::thread([this, worker = workers_ + 1] { work(worker); }).detach();
}

void Pool::work(int worker) {
    unsigned heard = 0;
    for (;;) {
        const auto rang = [&] { return bell_.load(std::memory_order_acquire) != heard; };
        if (!spin(idle_spin_.load(std::memory_order_relaxed), rang)) bell_.wait(heard, std::memory_order_acquire);
        heard = bell_.load(std::memory_order_acquire);
        const uint64_t published = published_.load(std::memory_order_acquire);
        const int count = static_cast<int>(published & 0xffff);
        if (worker < count) run_pieces(published >> 16, count, worker, 1);
    }
}

void Pool::run_pieces(uint64_t number, int count, int first, int step) {
    for (int i = 0, index = first; i < count; ++i, index = (index + step) % count) {
        // Fails for a piece that is claimed, and for a job that has ended.
        uint64_t open = 2 * number;
        if (!claims_[index].compare_exchange_strong(open, open + 1, std::memory_order_acq_rel)) continue;
        job_.run(index);
        if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) done_.notify_one();
    }
}

void Pool::wait_until_done(int count) {
    const auto finished = [&] { return done_.load(std::memory_order_acquire) == count; };
    if (spin(caller_spin, finished)) return;
    for (int done; (done = done_.load(std::memory_order_acquire)) != count;)
        done_.wait(done, std::memory_order_acquire);
}

}  // namespace rnnkit
