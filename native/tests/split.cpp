#include "split.h"

// A family of its own: nothing that the kernels include is shared between families.
#define RNNKIT_FAMILY probe
#include "../kernels/recurrent_split.h"

template <class T>
void expect_split(Tally& tally, const Case& c, int threads, bool by_units) {
    const rnnkit::RecurrentProblem problem = recurrent_problem(c);
    const bool independent = !c.has(masked | normed | projected | before);
    const rnnkit::probe::Split split = rnnkit::probe::split_for(problem, c.gates(), independent, sizeof(T));
    const bool as_meant = split.threads == threads && split.by_units == by_units;
    tally.expect(c, type_name<T>, as_meant ? "" : " is split in another way than was meant");
}
template void expect_split<float>(Tally&, const Case&, int, bool);
template void expect_split<double>(Tally&, const Case&, int, bool);
