// Weights packed once, then one step after the other, with the state updated in place.
#include "split.h"
#include "tests.h"

namespace {

// The first columns of W.
template <class T>
Array<T> first_columns(const Problem& problem, size_t count) {
    const auto I = static_cast<size_t>(problem.c.input);
    Array<T> part(problem.given[w].size() / I * count);
    for (size_t i = 0; i < part.size(); ++i) part[i] = static_cast<T>(problem.given[w][i / count * I + i % count]);
    return part;
}

// `own`: so many inputs are multiplied by the step itself; the products of the others are handed over.
template <class T>
std::string run(const Problem& problem, const Expected& truth, int64_t own) {
    const Case& c = problem.c;
    const Call<T> arrays(problem);
    const auto B = static_cast<size_t>(c.batch), I = static_cast<size_t>(c.input), H = static_cast<size_t>(c.hidden),
               S = static_cast<size_t>(c.state_size()), first = static_cast<size_t>(own),
               wide = static_cast<size_t>(c.gates()) * H;
    rnnkit::RecurrentProblem step = arrays.recurrent();
    step.time = 1, step.input = own;
    const Array<T> weight = first_columns<T>(problem, first);
    Array<T> input(B * first), added(first < I ? B * wide : 0), out(B * S);
    Array<T> h(problem.given[h0]), cells(problem.given[c0]);
    const Scratch scratch(rnnkit::recurrent_scratch(step, sizeof(T), false));
    rnnkit::RecurrentForward<T> call{};
    call.x = {input.get(), own, 0}, call.weights = arrays.weights(), call.out = {out.get(), c.state_size(), 0};
    call.weights.w = weight.get(), call.added = {added.get(), static_cast<int64_t>(wide), 0};
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
        for (size_t b = 0; b < B; ++b) {
            const double* const row = problem.given[x].data() + at(b) * I;
            for (size_t i = 0; i < first; ++i) input[b * first + i] = static_cast<T>(row[i]);
            for (size_t g = 0; first < I && g < wide; ++g) {
                double sum = 0;
                for (size_t i = first; i < I; ++i) sum += problem.given[w][g * I + i] * row[i];
                added[b * wide + g] = static_cast<T>(sum);
            }
        }
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
    const auto all = [&](const Case& c) {
        const Problem problem(c);
        const Expected truth = expected(problem);
        for (int64_t own : {c.input, c.input / 2, int64_t{0}}) {
            if (own < c.input && c.has(normed)) break;
            const std::string name = own < c.input ? " with so many inputs of its own: " + std::to_string(own) : "";
            tally.expect(c.name() + name, "float", run<float>(problem, truth, own));
            tally.expect(c.name() + name, "double", run<double>(problem, truth, own));
        }
    };
    for (Kernel kernel : kernels) {
        for (unsigned more : {0u, zoned_h | zoned_c, peepholes | projected, unsigned{before}, unsigned{normed},
                              possible, possible & ~before})
            all({kernel, 3, 6, 2, 21, served(kernel, usual | more)});
        all({kernel, 3, 6, 2, 21, served(kernel, (usual | zoned_h | zoned_c | peepholes | projected) & ~bias_h)});
        const Case wide{kernel, 2, 3, 20, 700, served(kernel, usual | zoned_h), 0, 3};
        Case step = wide;
        step.time = 1;
        expect_split<float>(tally, step, 3, true);
        all(wide);
    }
    // Each thread reads its own part of weights that few rows wait for.
    Case few{lstm, 5, 1, 256, 256, 0, 0, 2};
    few.input = 16;
    expect_split<float>(tally, few, 2, true);
    few.batch = 8;
    expect_split<float>(tally, few, 2, false);
}
