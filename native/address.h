// Addresses of Python's tensors, which arrive as whole numbers.
#pragma once

#include <stdint.h>

namespace rnnkit {

template <class T>
T* at_address(uintptr_t address) {
    return reinterpret_cast<T*>(address);
}

}  // namespace rnnkit
