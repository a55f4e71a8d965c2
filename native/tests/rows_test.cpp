// Rows shared by threads: enough work for three, and more steps than are gathered before their gradients are summed.
#include "split.h"
#include "tests.h"

void test_rows(Tally& tally) {
    constexpr int64_t hidden[] = {70, 43, 39};
    Draw draw(2);
    for (Kernel kernel : kernels)
        for (int i = 0; i < 24; ++i) {
            Case c = draw.of(kernel, 19, 24, 28, hidden[kernel], all_options);
            for (int threads : {1, 3}) {
                c.threads = threads;
                expect_split<float>(tally, c, threads, false);
                check(tally, c);
                if (i < 4) check_repeats(tally, c);
            }
        }
    // So many rows that two steps of them fill what is gathered.
    check(tally, {lstm, 290, 3, 2, 18, served(lstm, ragged | bias_x | state | ends), 0, 2});
}
