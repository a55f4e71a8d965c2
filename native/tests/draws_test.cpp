// Random masks: exact sizes, the same numbers from any threads, the share that was asked for.
#include "../kernels/bernoulli/bernoulli.h"
#include "tests.h"

namespace {

template <class T>
Array<T> draw(int64_t count, double probability, uint64_t seed, int threads) {
    Array<T> numbers(static_cast<size_t>(count));
    rnnkit::bernoulli(numbers.get(), count, probability, T(1.25), seed, threads);
    return numbers;
}

template <class T>
std::string wrong(int64_t count, double probability) {
    const Array<T> one = draw<T>(count, probability, 7, 1), three = draw<T>(count, probability, 7, 3);
    int64_t kept = 0;
    for (size_t i = 0; i < one.size(); ++i) {
        if (one[i] != T(0) && one[i] != T(1.25)) return " neither 0 nor the value";
        if (!(one[i] == three[i])) return " other numbers from other threads";
        kept += one[i] != T(0);
    }
    // Five standard deviations.
    const double expected = probability * static_cast<double>(count),
                 spread = 5 * std::sqrt(expected * (1 - probability));
    return std::abs(static_cast<double>(kept) - expected) <= spread ? "" : " another share than was asked for";
}

}  // namespace

void test_draws(Tally& tally) {
    for (int64_t count : {0, 1, 15, 33, 1000, 400001})
        for (double probability : {0.0, 0.3, 1.0}) {
            tally.expect("draws", "float", wrong<float>(count, probability));
            tally.expect("draws", "double", wrong<double>(count, probability));
        }
    const Array<float> one = draw<float>(1000, 0.5, 1, 1);
    for (uint64_t seed : {uint64_t{2}, uint64_t{1} << 32}) {
        const Array<float> other = draw<float>(1000, 0.5, seed, 1);
        int64_t same = 0;
        for (size_t i = 0; i < one.size(); ++i) same += one[i] == other[i];
        tally.expect("draws", "float", same > 400 && same < 600 ? "" : " alike with another seed");
    }
}
