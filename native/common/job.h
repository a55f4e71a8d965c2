// The work of one parallel call.
#pragma once

namespace rnnkit {

struct Job {
    void (*body)(void* context, int index, int count);
    void* context;
    int count;

    // Calls the body for one index. Denormal numbers are flushed to zero during the call.
    void run(int index) const;
};

}  // namespace rnnkit
