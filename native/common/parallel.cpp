#include "parallel.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace rnnkit {

namespace {

// Flush-to-zero and denormals-are-zero for the life of the object. A recurrent network whose state decays produces
// denormals by the million, each a hundred times slower than a normal number.
class FlushDenormals {
public:
#if defined(__x86_64__)
    FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040u); }
    ~FlushDenormals() { _mm_setcsr(saved_); }

private:
    unsigned saved_;
#elif defined(__aarch64__)
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" ::"r"(saved_ | (1ull << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

private:
    unsigned long long saved_;
#else
    FlushDenormals() {}
#endif
};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Job {
    void (*body)(void*, int, int);
    void* context;
    int count;
    double* first_done;  // gets the time at which the caller, worker 0, was done; or null

    // Runs every index that belongs to worker `worker` of `workers`.
    void run(int worker, int workers) const {
        FlushDenormals guard;
        for (int index = worker; index < count; index += workers) body(context, index, count);
        if (worker == 0 && first_done != nullptr) *first_done = seconds();
    }
};

std::atomic<bool> forked{false};

// The OpenMP runtime that is already in the process, reached by name: the core links to none, so it loads without
// PyTorch, and beside wheels that carry libgomp under another name.
struct Gomp {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
    int (*thread_num)() = nullptr;
    int (*num_threads)() = nullptr;

    bool load() {
#if defined(__linux__)
        void* handle = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
        if (handle == nullptr) return false;
        parallel = reinterpret_cast<decltype(parallel)>(dlsym(handle, "GOMP_parallel"));
        thread_num = reinterpret_cast<decltype(thread_num)>(dlsym(handle, "omp_get_thread_num"));
        num_threads = reinterpret_cast<decltype(num_threads)>(dlsym(handle, "omp_get_num_threads"));
#endif
        return parallel != nullptr && thread_num != nullptr && num_threads != nullptr;
    }
};

// Null until libgomp is in the process: PyTorch may be imported after us.
const Gomp* gomp() {
    static Gomp runtime;
    static std::atomic<bool> loaded{false};
    static std::mutex mutex;
    if (loaded.load(std::memory_order_acquire)) return &runtime;
    std::lock_guard lock(mutex);
    if (!loaded.load(std::memory_order_relaxed) && runtime.load()) loaded.store(true, std::memory_order_release);
    return loaded.load(std::memory_order_relaxed) ? &runtime : nullptr;
}

// Workers that sleep on a condition variable between jobs. Never destroyed: a worker may be inside the kernel while
// the process exits.
class Pool {
public:
    static Pool& instance() {
        static Pool* pool = new Pool;
        return *pool;
    }

    // False where another thread uses the pool; the caller then works alone.
    bool try_run(const Job& job) {
        std::unique_lock owner(owner_, std::try_to_lock);
        if (!owner) return false;
        while (static_cast<int>(threads_.size()) < job.count - 1) {
            const int worker = static_cast<int>(threads_.size()) + 1;
            threads_.emplace_back([this, worker] { work(worker); });
            threads_.back().detach();
        }
        {
            std::lock_guard lock(mutex_);
            job_ = &job;
            pending_ = job.count - 1;
            ++generation_;
        }
        wake_.notify_all();
        job.run(0, job.count);
        std::unique_lock lock(mutex_);
        done_.wait(lock, [this] { return pending_ == 0; });
        job_ = nullptr;
        return true;
    }

private:
    void work(int worker) {
        unsigned long seen = 0;
        for (;;) {
            const Job* job;
            {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [&] { return generation_ != seen && job_ != nullptr; });
                seen = generation_;
                job = job_;
                if (worker >= job->count) continue;
            }
            job->run(worker, job->count);
            std::lock_guard lock(mutex_);
            if (--pending_ == 0) done_.notify_one();
        }
    }

    std::mutex owner_, mutex_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> threads_;
    const Job* job_ = nullptr;
    int pending_ = 0;
    unsigned long generation_ = 0;
};

void watch_forks() {
#if defined(__unix__) || defined(__APPLE__)
    static const int registered = pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
    (void)registered;
#endif
}

// Where other programs use the cores too, one thread that the scheduler has stopped keeps all others waiting, for
// milliseconds where the work takes a tenth of one. So when a parallel call took far longer than the caller's own share
// of it, the next calls run on the calling thread alone: 8 of them, and twice as many each time it happens again. The
// results are the same bits: the shares of the work do not change, only the threads that compute them.
class Contention {
public:
    bool avoid() {
        if (serial_.load(std::memory_order_relaxed) <= 0) return false;
        serial_.fetch_sub(1, std::memory_order_relaxed);
        return true;
    }
    // The caller's own share took until `own`, all of it until `ended`. After a pause the others sleep and the first
    // meeting wakes them: it says nothing.
    void observe(double began, double own, double ended) {
        const bool warm = began - last_.exchange(ended, std::memory_order_relaxed) < 5e-4;
        if (!warm) return;
        const bool late = ended - began > 3 * (own - began) + 2e-3;
        const int penalty = penalty_.load(std::memory_order_relaxed);
        if (late) serial_.store(penalty, std::memory_order_relaxed);
        const int next = late ? 2 * penalty : penalty / 2;
        penalty_.store(next < 8 ? 8 : next > 1024 ? 1024 : next, std::memory_order_relaxed);
    }

private:
    std::atomic<int> serial_{0}, penalty_{8};
    std::atomic<double> last_{0};
};

bool run_together(const Job& job) {
    if (const Gomp* omp = gomp()) {
        struct Team {
            const Job* job;
            const Gomp* omp;
        } team{&job, omp};
        omp->parallel(
            [](void* data) {
                const Team& self = *static_cast<const Team*>(data);
                self.job->run(self.omp->thread_num(), self.omp->num_threads());
            },
            &team, static_cast<unsigned>(job.count), 0u);
        return true;
    }
    return Pool::instance().try_run(job);
}

}  // namespace

void parallel(int count, void (*body)(void*, int, int), void* context) {
    static Contention contention;
    double began = 0, own = 0;
    Job job{body, context, count, nullptr};
    watch_forks();
    if (count > 1 && !forked.load(std::memory_order_relaxed) && !contention.avoid()) {
        job.first_done = &own;
        began = seconds();
        if (run_together(job)) {
            contention.observe(began, own, seconds());
            return;
        }
    }
    job.first_done = nullptr;
    job.run(0, 1);
}

const char* thread_runtime() {
    if (forked.load()) return "serial";
    return gomp() != nullptr ? "libgomp" : "pool";
}

}  // namespace rnnkit
