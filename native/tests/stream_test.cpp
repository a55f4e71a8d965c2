// Weights packed once, then one step after the other, with the state updated in place.
#include "split.h"
#include "tests.h"

namespace {

template <class T>
std::string run(const Problem& problem, const Expected& truth) {
    const Case& c = problem.c;
    const Call<T> arrays(problem);
    const auto B = static_cast<size_t>(c.batch), I = static_cast<size_t>(c.input), H = static_cast<size_t>(c.hidden),
               S = static_cast<size_t>(c.state_size());
    rnnkit::RecurrentProblem step = arrays.recurrent();
    step.time = 1;
    Array<T> input(B * I), out(B * S), h(problem.given[h0]), cells(problem.given[c0]);
    const Scratch scratch(rnnkit::recurrent_scratch(step, sizeof(T), false));
    rnnkit::RecurrentForward<T> call{};
    call.x = {input.get(), c.input, 0}, call.weights = arrays.weights(), call.out = {out.get(), c.state_size(), 0};
    call.h0 = call.hn = h.get(), call.c0 = call.cn = cells.get();
    call.zone_h = {arrays.even_zone_h(), 0, 0}, call.zone_c = {arrays.even_zone_c(), 0, 0};
    call.scratch = scratch.get();
    rnnkit::recurrent_pack(step, call.weights, scratch.get());
    double worst = 0;
    const auto differ = [&](double expected, T found) {
        const double difference = std::abs(expected - static_cast<double>(found));
        worst = std::isnan(difference) ? INFINITY : std::fmax(worst, difference);
    };
    for (int64_t t = 0; t < c.time; ++t) {
        const auto at = [&](size_t b) { return problem.step(static_cast<int64_t>(b), t); };
        for (size_t b = 0; b < B; ++b)
            for (size_t i = 0; i < I; ++i) input[b * I + i] = static_cast<T>(problem.given[x][at(b) * I + i]);
        for (size_t i = 0; i < out.size(); ++i) out[i] = std::numeric_limits<T>::quiet_NaN();
        rnnkit::recurrent_forward(step, call);
        for (size_t b = 0; b < B; ++b) {
            for (size_t i = 0; i < S; ++i) {
                const double expected = truth.out[at(b) * S + i];
                differ(expected, out[b * S + i]), differ(expected, h[b * S + i]);
            }
            for (size_t i = 0; c.kernel == lstm && i < H; ++i) differ(truth.cells[at(b) * H + i], cells[b * H + i]);
        }
    }
    const double allowed = sizeof(T) == 4 ? 1e-5 : 1e-13;
    return worst <= allowed ? "" : " differs by " + std::to_string(worst / allowed) + " of the bound";
}

}  // namespace

void test_streams(Tally& tally) {
    constexpr unsigned usual = bias_x | bias_h | state | even_zones;
    constexpr unsigned possible = all_options & ~(masked | ragged | resets | backwards);
    const auto both = [&](const Case& c) {
        const Problem problem(c);
        const Expected truth = expected(problem);
        tally.expect(c, "float", run<float>(problem, truth));
        tally.expect(c, "double", run<double>(problem, truth));
    };
    for (Kernel kernel : kernels) {
        for (unsigned more : {0u, zoned_h | zoned_c, peepholes | projected, unsigned{before}, unsigned{normed},
                              possible, possible & ~before})
            both({kernel, 3, 6, 2, 21, served(kernel, usual | more)});
        const Case wide{kernel, 2, 3, 20, 700, served(kernel, usual | zoned_h), 0, 3};
        Case step = wide;
        step.time = 1;
        expect_split<float>(tally, step, 3, true);
        both(wide);
    }
}
