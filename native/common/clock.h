#pragma once

#include <chrono>

namespace rnnkit {

// A steady clock, in seconds.
inline double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace rnnkit
