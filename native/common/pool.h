// The core's own threads.
//
// A job's pieces are claimed one by one, by the caller and by the workers: whoever is free takes the next. The caller
// returns when all pieces are done. It waits for pieces that another thread has begun, never for a thread that has not:
// a worker that the scheduler keeps from running costs nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "job.h"

namespace rnnkit {

class Pool {
public:
    static constexpr int max_pieces = 1024;

    // Never destroyed: a worker may be inside a kernel while the process exits.
    static Pool& instance();

    // False where another thread uses the pool or the job has too many pieces; the caller then works alone.
    // `idle_spin`: the seconds for which a worker without work waits for the next job before it sleeps.
    bool try_run(const Job& job, double idle_spin);

private:
    void start_workers(int wanted);
    void work(int worker);
    // Runs the open pieces of job number `number`, `first` first, then the next by `step`.
    void run_pieces(uint64_t number, int count, int first, int step);
    void wait_until_done(int count);

    std::mutex owner_;
    int workers_ = 0;
    Job job_{};
    std::atomic<double> idle_spin_{0};
    // The number of the current job, and its pieces: number << 16 | count.
    std::atomic<uint64_t> published_{0};
    // Of each piece: twice the number of the job that it is open for; one more once it is claimed.
    std::atomic<uint64_t> claims_[max_pieces]{};
    alignas(64) std::atomic<int> done_{0};
    alignas(64) std::atomic<unsigned> bell_{0};  // rings once a job
};

}  // namespace rnnkit
