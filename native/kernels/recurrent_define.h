// Defines one kernel's functions for one CPU family from its cell: RNNKIT_CELL is the class template, RNNKIT_NAME(what)
// the functions' names. Included at the end of the kernel's source, once.

size_t RNNKIT_NAME(scratch)(const RecurrentSizes& sizes, size_t element, bool backward) {
    if (backward)
        return element == sizeof(float) ? Backward<float, RNNKIT_CELL>(sizes, nullptr, nullptr).bytes()
                                        : Backward<double, RNNKIT_CELL>(sizes, nullptr, nullptr).bytes();
    return element == sizeof(float) ? Forward<float, RNNKIT_CELL>(sizes, nullptr).bytes()
                                    : Forward<double, RNNKIT_CELL>(sizes, nullptr).bytes();
}
int64_t RNNKIT_NAME(saved)(const RecurrentSizes& sizes) { return RNNKIT_CELL<float>::saved_size(sizes); }

#define RNNKIT_DEFINE(T)                                                                                     \
    void RNNKIT_NAME(pack)(const RecurrentSizes& sizes, const RecurrentWeights<T>& weights, void* scratch) { \
        Forward<T, RNNKIT_CELL>(sizes, scratch).pack(weights);                                               \
    }                                                                                                        \
    void RNNKIT_NAME(run)(const RecurrentSizes& sizes, const RecurrentForward<T>& call) {                    \
        Forward<T, RNNKIT_CELL>(sizes, call.scratch).run(call);                                              \
    }                                                                                                        \
    void RNNKIT_NAME(backward)(const RecurrentSizes& sizes, const RecurrentBackward<T>& call) {              \
        Backward<T, RNNKIT_CELL>(sizes, &call, call.scratch).run();                                          \
    }
RNNKIT_DEFINE(float)
RNNKIT_DEFINE(double)
#undef RNNKIT_DEFINE
#undef RNNKIT_CELL
#undef RNNKIT_NAME
