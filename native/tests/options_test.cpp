// Every option alone, every two, and many at once, on sizes of one, of a vector and beside it.
#include "tests.h"

void test_options(Tally& tally) {
    constexpr int64_t sizes[][4] = {{1, 1, 1, 1}, {3, 5, 2, 7}, {2, 4, 16, 16}};
    constexpr unsigned usual = bias_x | bias_h | state | ends;
    int number = 0;
    for (Kernel kernel : kernels)
        for (const auto& s : sizes) {
            const auto one = [&](unsigned options, int nonlinearity) {
                const auto layout = static_cast<Layout>(number++ % 3);
                check(tally, {kernel, s[0], s[1], s[2], s[3], served(kernel, options), nonlinearity, 1, layout});
            };
            one(0, 0);
            for (int nonlinearity = 0; nonlinearity < 3; ++nonlinearity) one(usual, nonlinearity);
            for (int i = 0; i < option_count; ++i)
                for (int j = 0; j <= i; ++j) {
                    const unsigned pair = 1u << i | 1u << j;
                    one(pair, number % 3), one(usual ^ pair, number % 3);
                }
        }
    Draw draw(1);
    constexpr int64_t mixed[][4] = {{3, 5, 2, 7}, {5, 9, 3, 50}, {4, 3, 70, 12}, {9, 4, 17, 33}};
    for (Kernel kernel : kernels)
        for (const auto& s : mixed)
            for (int i = 0; i < 40; ++i) check(tally, draw.of(kernel, s[0], s[1], s[2], s[3], all_options));
}
