// Compiled once per CPU family, with RNNKIT_FAMILY set to its name.
#include "bernoulli.h"

#include "../../common/parallel.h"
#include "../../common/tile.h"

namespace rnnkit::RNNKIT_FAMILY {

// Numbers under which a second thread costs more than it saves.
constexpr int64_t numbers_per_thread = 1 << 17;

typedef uint32_t Words __attribute__((vector_size(vector_bytes)));
constexpr int words = vector_bytes / 4;

template <class W>
RNNKIT_INLINE W mix(W x) {
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    return x ^ (x >> 16);
}

// Numbers index, index + 1, ... of a stretch, by the two keys of that stretch.
template <class T>
void draw_stretch(T* to, uint32_t index, int64_t n, uint32_t first, uint32_t second, uint32_t limit, T value) {
    int64_t k = 0;
    if constexpr (sizeof(T) == 4) {
        Words counter;
        for (int lane = 0; lane < words; ++lane) counter[lane] = index + static_cast<uint32_t>(lane);
        const Words bits = (Words)splat(value);
        for (; k + words <= n; k += words, counter += static_cast<uint32_t>(words))
            store(to + k, (vec<T>)(bits & (Words)(mix((mix(counter ^ first)) + second) < limit)));
    }
    for (; k < n; ++k) to[k] = mix(mix((index + static_cast<uint32_t>(k)) ^ first) + second) < limit ? value : T(0);
}

template <class T>
void draw(T* to, int64_t count, double probability, T value, uint64_t seed, int threads) {
    const uint32_t limit = probability >= 1 ? 0xFFFFFFFFu : static_cast<uint32_t>(probability * 4294967296.0);
    const int64_t wanted = smaller(threads, 1 + count / numbers_per_thread);
    parallel(static_cast<int>(wanted < 1 ? 1 : wanted), [&](int thread, int parts) {
        const int64_t end = share_begin(count, parts, thread + 1);
        for (int64_t i = share_begin(count, parts, thread); i < end;) {
            // The index's upper half is part of the key: a stretch within 2^32 numbers shares it.
            const uint64_t upper = static_cast<uint64_t>(i) >> 32;
            const int64_t stop = smaller(end, static_cast<int64_t>((upper + 1) << 32));
            const uint32_t first = mix(static_cast<uint32_t>(seed) ^ static_cast<uint32_t>(upper) * 0x9E3779B9u);
            const uint32_t second = static_cast<uint32_t>(seed >> 32);
            draw_stretch(to + i, static_cast<uint32_t>(i), stop - i, first, second, limit, value);
            i = stop;
        }
    });
}

void bernoulli(float* to, int64_t count, double probability, float value, uint64_t seed, int threads) {
    draw(to, count, probability, value, seed, threads);
}
void bernoulli(double* to, int64_t count, double probability, double value, uint64_t seed, int threads) {
    draw(to, count, probability, value, seed, threads);
}

}  // namespace rnnkit::RNNKIT_FAMILY
