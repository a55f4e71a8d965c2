#include "openmp.h"

#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>

#include "clock.h"

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

namespace rnnkit {

namespace {

// Reached by name: the core links to no OpenMP runtime, so it loads without PyTorch, and beside wheels that carry
// libgomp under another name.
struct Gomp {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
    int (*thread_num)() = nullptr;
    int (*num_threads)() = nullptr;
    int (*num_procs)() = nullptr;

    bool load() {
#if defined(__linux__)
        void* handle = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
        if (handle == nullptr) return false;
        find(handle, "GOMP_parallel", parallel);
        find(handle, "omp_get_thread_num", thread_num);
        find(handle, "omp_get_num_threads", num_threads);
        find(handle, "omp_get_num_procs", num_procs);
#endif
        return parallel != nullptr && thread_num != nullptr && num_threads != nullptr && num_procs != nullptr;
    }

private:
    template <class Function>
    static void find(void* handle, const char* name, Function& function) {
        function = reinterpret_cast<Function>(dlsym(handle, name));
    }
};

// Null until libgomp is in the process.
const Gomp* gomp() {
    static Gomp runtime;
    static std::atomic<bool> loaded{false};
    static std::mutex mutex;
    if (loaded.load(std::memory_order_acquire)) return &runtime;
    std::lock_guard lock(mutex);
    if (!loaded.load(std::memory_order_relaxed) && runtime.load()) loaded.store(true, std::memory_order_release);
    return loaded.load(std::memory_order_relaxed) ? &runtime : nullptr;
}

// libgomp reads how long its threads spin from the environment when it is loaded, and nothing changes that later. But
// while it has more threads than the process has processors, it lets them spin a hundred times only, some
// microseconds. This object keeps a team of sleeping threads in existence for that.
class SleepingTeam {
public:
    SleepingTeam(const Gomp& omp, int threads) : omp_(omp) {
        // PyTorch's team has `threads`, and together they have to be more than the processors.
        const int wanted = omp.num_procs() - threads + 2;
        size_ = wanted < 2 ? 2 : wanted;
        thread_ = std::thread([this] {
            omp_.parallel([](void* self) { static_cast<SleepingTeam*>(self)->ended_.wait(false); }, this,
                          static_cast<unsigned>(size_), 0u);
        });
    }
    ~SleepingTeam() {
        ended_.store(true);
        ended_.notify_all();
        thread_.join();
    }

private:
    const Gomp& omp_;
    int size_;
    std::atomic<bool> ended_{false};
    std::thread thread_;
};

}  // namespace

bool openmp_loaded() { return gomp() != nullptr; }

void openmp_run(const Job& job, double& first_done) {
    struct Team {
        const Job& job;
        const Gomp& omp;
        double& first_done;
    } team{job, *gomp(), first_done};
    team.omp.parallel(
        [](void* data) {
            const Team& self = *static_cast<const Team*>(data);
            const int thread = self.omp.thread_num(), threads = self.omp.num_threads();
            for (int index = thread; index < self.job.count; index += threads) self.job.run(index);
            if (thread == 0) self.first_done = seconds();
        },
        &team, static_cast<unsigned>(job.count), 0u);
}

void openmp_wait_asleep(bool asleep, int threads) {
    static std::mutex mutex;
    static SleepingTeam* team = nullptr;
    const Gomp* const omp = gomp();
    std::lock_guard lock(mutex);
    if (omp == nullptr || asleep == (team != nullptr)) return;
    if (asleep) {
        try {
            team = new SleepingTeam(*omp, threads);
        } catch (const std::system_error&) {
            // The system has no thread to spare: libgomp's threads go on spinning.
        }
    } else {
        delete team;
        team = nullptr;
    }
}

}  // namespace rnnkit
