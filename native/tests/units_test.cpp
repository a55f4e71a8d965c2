// Hidden units shared by threads: few rows, or weights that outgrow a core's cache.
#include "split.h"
#include "tests.h"

namespace {

// The options under which a unit's step needs nothing of the other units but h.
constexpr unsigned possible = all_options & ~(masked | normed | projected | before);

}  // namespace

void test_units(Tally& tally) {
    constexpr int64_t few_rows[] = {540, 265, 309}, wide[] = {450, 266, 296};
    Draw draw(3);
    for (Kernel kernel : kernels) {
        for (int i = 0; i < 8; ++i) {
            Case c = draw.of(kernel, 2, 3, 20, few_rows[kernel], possible);
            if (i < 2) c.options = i == 0 ? 0 : served(kernel, possible);
            c.threads = 3;
            expect_split<float>(tally, c, 3, true), expect_split<double>(tally, c, 3, true);
            check(tally, c);
            if (i < 2) check_repeats(tally, c);
        }
        // More steps than are gathered before their gradients are summed.
        const Case c{kernel, 33, 5, 9, wide[kernel], served(kernel, possible & ~ragged), 2, 2, Layout::gapped};
        expect_split<double>(tally, c, 2, true);
        check(tally, c);
    }
}
