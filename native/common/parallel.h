// All threading of the core goes through here.
//
// Where the process has loaded libgomp (PyTorch's CPU wheels bring it), its team is used while the cores are free, so
// that native calls and PyTorch's own operations share the same warm threads. Where other programs use the cores too,
// and where there is no libgomp, the core's own pool serves: whoever is free takes the next piece of work, and nobody
// waits for a thread that has not begun. After a fork the child has no threads to share: everything runs on the calling
// thread there.
#pragma once

namespace rnnkit {

// Calls body(context, index, count) for every index in [0, count), on up to `count` threads, and returns when all
// are done. The work of one index never depends on how many threads really ran.
// Denormal numbers are flushed to zero inside `body`; the caller's mode is restored.
void parallel(int count, void (*body)(void* context, int index, int count), void* context);

template <class F>
void parallel(int count, F&& function) {
    parallel(count, [](void* context, int index, int total) { (*static_cast<F*>(context))(index, total); }, &function);
}

// The cores that other programs keep busy, read anew at most four times a second; negative before the second time and
// where the system does not tell.
double busy_cores_of_others();
// Takes `cores` for that number, without reading; negative: reads again. For tests.
void assume_busy_cores_of_others(double cores);

// "libgomp", "pool" or "serial": who runs the threads in this process, for `rnnkit doctor`.
const char* thread_runtime();

}  // namespace rnnkit
