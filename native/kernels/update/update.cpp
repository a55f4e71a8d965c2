// Compiled once per CPU family, with RNNKIT_FAMILY set to its name.
#include "update.h"

#include "../../common/parallel.h"
#include "../../common/tile.h"

namespace rnnkit::RNNKIT_FAMILY {

// Numbers under which a second thread costs more than it saves.
constexpr int64_t numbers_per_thread = 1 << 16;

RNNKIT_INLINE vec<float> square_root(vec<float> x) {
#if defined(__AVX512F__)
    return (vec<float>)_mm512_maskz_sqrt_ps(0xFFFF, (__m512)x);
#elif defined(__AVX2__)
    return (vec<float>)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < lanes<float>; ++i) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}
RNNKIT_INLINE vec<double> square_root(vec<double> x) {
#if defined(__AVX512F__)
    return (vec<double>)_mm512_maskz_sqrt_pd(0xFF, (__m512d)x);
#elif defined(__AVX2__)
    return (vec<double>)_mm256_sqrt_pd((__m256d)x);
#else
    for (int i = 0; i < lanes<double>; ++i) x[i] = __builtin_sqrt(x[i]);
    return x;
#endif
}

// Calls body(index, lanes left) for every vector of `count` numbers, the last one perhaps not full.
template <class T, class Body>
void over_vectors(int64_t count, int threads, Body&& body) {
    const int64_t vectors = ceil_div(count, lanes<T>), most = count / numbers_per_thread + 1;
    parallel(static_cast<int>(smaller(threads < 1 ? 1 : threads, most)), [&](int thread, int parts) {
        for (int64_t v = share_begin(vectors, parts, thread); v < share_begin(vectors, parts, thread + 1); ++v)
            body(v * lanes<T>, count - v * lanes<T>);
    });
}

template <class T>
void adam_of(const AdamSettings& s, const Parameter<T>& p, int threads) {
    const double correction1 = 1 - __builtin_pow(s.beta1, s.step), correction2 = 1 - __builtin_pow(s.beta2, s.step);
    const T size = static_cast<T>(s.rate / correction1), root = static_cast<T>(__builtin_sqrt(correction2)),
            epsilon = static_cast<T>(s.epsilon), keep = static_cast<T>(s.beta2);
    const T take1 = static_cast<T>(1 - s.beta1), take2 = static_cast<T>(1 - s.beta2);
    const T shrink = static_cast<T>(s.decoupled ? 1 - s.rate * s.decay : 1);
    const T l2 = static_cast<T>(s.decoupled ? 0 : s.decay);
    over_vectors<T>(p.count, threads, [&](int64_t i, int64_t left) {
        const vec<T> value = load_upto(p.value + i, left) * shrink;
        vec<T> g = load_upto(p.gradient + i, left);
        if (l2 != 0) g += value * l2;  // not with 0: a weight may be infinite
        vec<T> m = load_upto(p.first + i, left), v = load_upto(p.second + i, left);
        m += take1 * (g - m);
        v = keep * v + take2 * g * g;
        store_upto(p.first + i, m, left);
        store_upto(p.second + i, v, left);
        store_upto(p.value + i, value - size * (m / (square_root(v) / root + epsilon)), left);
    });
}

template <class T>
void sgd_of(const SgdSettings& s, const Parameter<T>& p, int threads) {
    const T rate = static_cast<T>(s.rate), momentum = static_cast<T>(s.momentum), l2 = static_cast<T>(s.decay);
    const T take = static_cast<T>(1 - s.dampening);
    over_vectors<T>(p.count, threads, [&](int64_t i, int64_t left) {
        const vec<T> value = load_upto(p.value + i, left);
        vec<T> g = load_upto(p.gradient + i, left);
        if (l2 != 0) g += value * l2;
        if (p.first != nullptr) {
            const vec<T> m = momentum * load_upto(p.first + i, left) + take * g;
            store_upto(p.first + i, m, left);
            g = s.nesterov ? g + momentum * m : m;
        }
        store_upto(p.value + i, value - rate * g, left);
    });
}

template <class T>
double squares_of(const T* numbers, int64_t count) {
    double total = 0;
    constexpr int64_t block = 64 * lanes<T>;  // whose sum is short enough for the numbers' own precision
    for (int64_t from = 0; from < count; from += block) {
        vec<T> sum{};
        for (int64_t i = from; i < smaller(count, from + block); i += lanes<T>) {
            const vec<T> x = load_upto(numbers + i, count - i);
            sum += x * x;
        }
        for (int lane = 0; lane < lanes<T>; ++lane) total += static_cast<double>(sum[lane]);
    }
    return total;
}

template <class T>
void scale_of(T* numbers, int64_t count, double factor) {
    for (int64_t i = 0; i < count; i += lanes<T>)
        store_upto(numbers + i, load_upto(numbers + i, count - i) * static_cast<T>(factor), count - i);
}

void adam(const AdamSettings& s, const Parameter<float>& p, int threads) { adam_of(s, p, threads); }
void adam(const AdamSettings& s, const Parameter<double>& p, int threads) { adam_of(s, p, threads); }
void sgd(const SgdSettings& s, const Parameter<float>& p, int threads) { sgd_of(s, p, threads); }
void sgd(const SgdSettings& s, const Parameter<double>& p, int threads) { sgd_of(s, p, threads); }
double sum_of_squares(const float* numbers, int64_t count) { return squares_of(numbers, count); }
double sum_of_squares(const double* numbers, int64_t count) { return squares_of(numbers, count); }
void scale(float* numbers, int64_t count, double factor) { scale_of(numbers, count, factor); }
void scale(double* numbers, int64_t count, double factor) { scale_of(numbers, count, factor); }

}  // namespace rnnkit::RNNKIT_FAMILY
