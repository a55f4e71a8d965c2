// Defines one kernel's functions for one CPU family from its cell: RNNKIT_CELL is the class template, RNNKIT_NAME(what)
// the functions' names. Included at the end of the kernel's source, once.

#if defined(RNNKIT_INT8)
using RNNKIT_NAME(int8_pass) = ForwardPass<RNNKIT_CELL<float>, Int8ThreadWeights>;
size_t RNNKIT_NAME(scratch)(const RecurrentProblem& problem) {
    return RNNKIT_NAME(int8_pass)(problem, nullptr).bytes();
}
void RNNKIT_NAME(pack)(const RecurrentProblem& problem, const RecurrentWeights<float>& weights,
                       const Int8Weights& matrices, void* scratch) {
    RNNKIT_NAME(int8_pass)(problem, scratch).pack(weights, matrices);
}
void RNNKIT_NAME(forward)(const RecurrentProblem& problem, const RecurrentForward<float>& call) {
    RNNKIT_NAME(int8_pass)(problem, call.scratch).run(call);
}
#else
size_t RNNKIT_NAME(scratch)(const RecurrentProblem& problem, size_t element, bool backward) {
    if (backward)
        return element == sizeof(float) ? BackwardPass<RNNKIT_CELL<float>>(problem, nullptr, nullptr).bytes()
                                        : BackwardPass<RNNKIT_CELL<double>>(problem, nullptr, nullptr).bytes();
    return element == sizeof(float) ? ForwardPass<RNNKIT_CELL<float>>(problem, nullptr).bytes()
                                    : ForwardPass<RNNKIT_CELL<double>>(problem, nullptr).bytes();
}
int64_t RNNKIT_NAME(saved_width)(const RecurrentProblem& problem) { return RNNKIT_CELL<float>::saved_width(problem); }

#define RNNKIT_DEFINE(T)                                                                                         \
    void RNNKIT_NAME(pack)(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, void* scratch) { \
        ForwardPass<RNNKIT_CELL<T>>(problem, scratch).pack(weights, weights);                                    \
    }                                                                                                            \
    void RNNKIT_NAME(forward)(const RecurrentProblem& problem, const RecurrentForward<T>& call) {                \
        ForwardPass<RNNKIT_CELL<T>>(problem, call.scratch).run(call);                                            \
    }                                                                                                            \
    void RNNKIT_NAME(backward)(const RecurrentProblem& problem, const RecurrentBackward<T>& call) {              \
        BackwardPass<RNNKIT_CELL<T>>(problem, &call, call.scratch).run();                                        \
    }
RNNKIT_DEFINE(float)
RNNKIT_DEFINE(double)
#undef RNNKIT_DEFINE
#endif
#undef RNNKIT_CELL
#undef RNNKIT_NAME
