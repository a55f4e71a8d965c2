// Gradients that are not wanted, and calls with nothing to do.
#include "split.h"
#include "tests.h"

namespace {

// Each gradient alone, and all but each: the same bits as among all the others.
template <class T>
void check_wanted(Tally& tally, const Case& c) {
    const Problem problem(c);
    Call<T> all(problem), some(problem);
    for (Call<T>* call : {&all, &some}) call->forward(true);
    all.backward(all_fields);
    for (unsigned invert : {0u, all_fields})
        for (int f = 0; f < fields; ++f) {
            const unsigned wanted = invert ^ 1u << f;
            some.backward(wanted);
            tally.expect(c, type_name<T>,
                         some.backward_bits(wanted) == all.backward_bits(wanted)
                             ? ""
                             : std::string(" other bits when the gradient of ") + field_names[f] +
                                   (invert != 0 ? " is not wanted" : " alone is wanted"));
        }
    some.backward(0);
}

}  // namespace

void test_edges(Tally& tally) {
    for (Kernel kernel : kernels) {
        const unsigned every = served(kernel, all_options & ~(normed | before));
        for (unsigned options : {every, served(kernel, all_options), served(kernel, all_options & ~normed)})
            check_wanted<double>(tally, {kernel, 3, 4, 2, 5, options});
        const Case wide{kernel, 1, 3, 20, 700, served(kernel, every & ~(masked | projected)), 0, 2};
        expect_split<float>(tally, wide, 2, true);
        check_wanted<float>(tally, wide);

        for (unsigned options : {0u, served(kernel, all_options), every}) {
            check(tally, {kernel, 0, 3, 2, 5, options});  // no rows
            check(tally, {kernel, 1, 2, 2, 5, options | ragged, 0, 2});
            check(tally, {kernel, 4, 1, 2, 5, options | ragged});  // lengths 0 and 1
        }
    }
}
