// All threading of the core goes through here.
//
// Where the process has loaded libgomp (PyTorch's CPU wheels bring it), its team is used, so that native calls and
// PyTorch's own operations share the same warm threads. Elsewhere a small pool of our own serves. After a fork the
// child has no threads to share: everything runs on the calling thread there.
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

// "libgomp", "pool" or "serial": who runs the threads in this process, for `rnnkit doctor`.
const char* thread_runtime();

}  // namespace rnnkit
