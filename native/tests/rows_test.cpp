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
    // More rows than a thread takes at a time.
    for (Kernel kernel : kernels)
        for (unsigned options : {0u, served(kernel, all_options), served(kernel, ragged | bias_x | state | ends)}) {
            check(tally, {kernel, 290, 3, 2, 18, options, 0, 2});
            check(tally, {kernel, 270, 4, 3, 5, options, 0, 1, Layout::gapped});
        }
    // Gates so wide that they are copied before their gradients are summed.
    check(tally, {gru, 19, 9, 3, 137, served(gru, bias_x | state), 0, 2});
}
