// The pool runs each piece of each job once, whoever takes it; contention is found and forgotten.
#include <atomic>
#include <thread>
#include <vector>

#include "../common/contention.h"
#include "../common/parallel.h"
#include "../common/pool.h"
#include "tests.h"

namespace {

using rnnkit::Contention;
using rnnkit::Job;
using rnnkit::Pool;

// How often each piece has run.
struct Runs {
    std::vector<std::atomic<int>> times;

    explicit Runs(int count) : times(static_cast<size_t>(count)) {}
    Job job() {
        return {[](void* self, int index, int) { ++static_cast<Runs*>(self)->times[static_cast<size_t>(index)]; }, this,
                static_cast<int>(times.size())};
    }
    bool each_is(int wanted) const {
        for (const auto& one : times)
            if (one.load() != wanted) return false;
        return true;
    }
};

// Jobs of all sizes, one right after the other: late workers meet the next job.
std::string run_many(double idle_spin) {
    Draw draw(3);
    for (int i = 0; i < 3000; ++i) {
        Runs runs(1 + static_cast<int>(draw.next(9)));
        if (!Pool::instance().try_run(runs.job(), idle_spin)) return " the pool was not free";
        if (!runs.each_is(1)) return " a piece did not run once";
    }
    return "";
}

// Callers at the same time: one uses the pool, the others are told that it is taken.
std::string run_at_once() {
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller)
        callers.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) {
                Runs runs(4);
                const bool ran = Pool::instance().try_run(runs.job(), 0);
                wrong += !runs.each_is(ran ? 1 : 0);
            }
        });
    for (std::thread& caller : callers) caller.join();
    return wrong == 0 ? "" : " a piece did not run once";
}

std::string run_pieces_of_unequal_length() {
    struct Work {
        std::atomic<int> done{0};
    } work;
    const auto body = [](void* self, int index, int) {
        if (index == 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        ++static_cast<Work*>(self)->done;
    };
    for (int i = 1; i <= 20; ++i) {
        Pool::instance().try_run({body, &work, 4}, 0);
        if (work.done != 4 * i) return " the caller did not wait for the last piece";
    }
    return "";
}

std::string too_many_pieces() {
    Runs runs(Pool::max_pieces + 1);
    return !Pool::instance().try_run(runs.job(), 0) && runs.each_is(0) ? "" : " more pieces than the pool can hold";
}

std::string suspicion() {
    Contention watch;
    watch.assume(0);
    if (watch.found(2, 10)) return " contention is found where none is assumed";
    watch.assume(1);
    if (!watch.found(2, 10)) return " contention is not found where it is assumed";
    watch.assume(-1);
    watch.observe(10, 10.001, 10.002);
    watch.observe(10.0021, 10.003, 10.1);
    if (!watch.found(2, 10.11)) return " a late call raises no suspicion";
    if (watch.found(1 << 20, 11) && watch.others(11) <= 0.3) return " the suspicion does not end";
    return "";
}

std::string assumed_contention() {
    rnnkit::assume_busy_cores_of_others(2);
    Runs runs(3);
    const Job job = runs.job();
    rnnkit::parallel(job.count, job.body, job.context);
    rnnkit::assume_busy_cores_of_others(-1);
    return runs.each_is(1) ? "" : " a piece did not run once";
}

}  // namespace

void test_threads(Tally& tally) {
    tally.expect("many jobs, workers that sleep", "", run_many(0));
    tally.expect("many jobs, workers that spin", "", run_many(1e-4));
    tally.expect("several callers", "", run_at_once());
    tally.expect("pieces of unequal length", "", run_pieces_of_unequal_length());
    tally.expect("too many pieces", "", too_many_pieces());
    tally.expect("suspicion of contention", "", suspicion());
    tally.expect("a call while cores are busy", "", assumed_contention());
}
