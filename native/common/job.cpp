#include "job.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace rnnkit {

namespace {

// Flush-to-zero and denormals-are-zero for the life of the object. A recurrent network whose state decays produces
// denormals by the million, each a hundred times slower than a normal number.
class FlushDenormals {
public:
#if defined(__x86_64__)
    FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040u); }
    ~FlushDenormals() { _mm_setcsr(saved_); }

private:
    unsigned saved_;
#elif defined(__aarch64__)
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" ::"r"(saved_ | (1ull << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

private:
    unsigned long long saved_;
#else
    FlushDenormals() {}
#endif
};

}  // namespace

void Job::run(int index) const {
    FlushDenormals guard;
    body(context, index, count);
}

}  // namespace rnnkit
