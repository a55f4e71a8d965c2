// Products of a few rows, draws of tokens and continuations of beams, each against its definition in double precision.
#include <algorithm>
#include <numeric>
#include <vector>

#include "../kernels/linear/linear.h"
#include "../kernels/tokens/tokens.h"
#include "tests.h"

namespace {

template <class T>
Array<T> numbers(size_t count, unsigned seed) {
    Array<T> made(count);
    Draw draw(seed);
    for (size_t i = 0; i < count; ++i) made[i] = static_cast<T>(draw.next(2001)) / T(250) - T(4);
    return made;
}

template <class T>
std::string product(int64_t rows, int64_t features, int64_t outputs, bool biased, int threads) {
    const auto R = static_cast<size_t>(rows), F = static_cast<size_t>(features), O = static_cast<size_t>(outputs);
    const Array<T> x = numbers<T>(R * F, 1), weight = numbers<T>(O * F, 2), bias = numbers<T>(O, 3);
    Array<T> out(R * O), again(R * O);
    rnnkit::LinearProblem problem{rows, features, outputs, 1};
    const Scratch scratch(rnnkit::linear_scratch(problem, sizeof(T)));
    rnnkit::linear_pack(problem, weight.get(), scratch.get());
    const T* const added = biased ? bias.get() : nullptr;
    rnnkit::linear_forward(problem, {x.get(), added, out.get(), scratch.get()});
    problem.threads = threads;
    rnnkit::linear_forward(problem, {x.get(), added, again.get(), scratch.get()});
    const double allowed = (sizeof(T) == 4 ? 2e-6 : 4e-15) * static_cast<double>(features);
    for (size_t r = 0; r < R; ++r)
        for (size_t o = 0; o < O; ++o) {
            double expected = biased ? static_cast<double>(bias[o]) : 0;
            for (size_t f = 0; f < F; ++f)
                expected += static_cast<double>(x[r * F + f]) * static_cast<double>(weight[o * F + f]);
            if (!(std::abs(expected - static_cast<double>(out[r * O + o])) <= 16 * allowed)) return " a wrong product";
            if (!(out[r * O + o] == again[r * O + o])) return " other bits from other threads";
        }
    return "";
}

// The probabilities that the filters leave.
template <class T>
std::vector<double> filtered(const rnnkit::Filters& filters, const T* logits, size_t n) {
    std::vector<double> x(n), p(n);
    std::vector<size_t> order(n);
    std::iota(order.begin(), order.end(), size_t{0});
    for (size_t i = 0; i < n; ++i) x[i] = static_cast<double>(logits[i] / static_cast<T>(filters.temperature));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return x[a] > x[b]; });
    const double largest = x[order[0]];
    const auto k = static_cast<size_t>(filters.top_k);
    const double least = k > 0 && k < n ? x[order[k - 1]] : -INFINITY;
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; ++i) total += p[i] = x[i] < least ? 0 : std::exp(x[i] - largest);
    for (size_t i : order) {
        const bool reached = sum >= filters.top_p * total;
        sum += p[i];
        if (reached && filters.top_p < 1) p[i] = 0;
    }
    for (size_t i = 0; i < n; ++i)
        if (filters.min_p > 0 && x[i] < largest + std::log(filters.min_p)) p[i] = 0;
    return p;
}

template <class T>
std::string draw(const rnnkit::Filters& filters, size_t n) {
    constexpr size_t rows = 40;
    const Array<T> logits = numbers<T>(rows * n, static_cast<unsigned>(n));
    Array<int64_t> ids(rows);
    std::vector<double> uniform(rows);
    for (size_t b = 0; b < rows; ++b) uniform[b] = static_cast<double>(b) / static_cast<double>(rows);
    const Scratch scratch(rnnkit::draw_scratch(static_cast<int64_t>(n), sizeof(T)));
    rnnkit::draw_tokens(filters, rnnkit::TokenDraw<T>{logits.get(), uniform.data(), ids.get(), rows,
                                                      static_cast<int64_t>(n), scratch.get()});
    for (size_t b = 0; b < rows; ++b) {
        const std::vector<double> p = filtered(filters, logits.get() + b * n, n);
        const auto id = static_cast<size_t>(ids[b]);
        if (ids[b] < 0 || id >= n || p[id] == 0) return " a token that the filters drop";
        const double total = std::accumulate(p.begin(), p.end(), 0.0), wanted = uniform[b] * total;
        const double before = std::accumulate(p.begin(), p.begin() + ids[b], 0.0);
        if (before > wanted + 1e-5 * total || before + p[id] < wanted - 1e-5 * total) return " another token";
    }
    return "";
}

template <class T>
std::string no_choice() {
    const T wrong[] = {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                       -std::numeric_limits<T>::infinity()};
    for (T value : wrong) {
        Array<T> logits(5);
        for (size_t i = 0; i < 5; ++i) logits[i] = i == 3 || value < 0 ? value : T(1);
        Array<int64_t> ids(1);
        const double uniform = 0.5;
        const Scratch scratch(rnnkit::draw_scratch(5, sizeof(T)));
        rnnkit::draw_tokens({1, 2, 0.9, 0.1},
                            rnnkit::TokenDraw<T>{logits.get(), &uniform, ids.get(), 1, 5, scratch.get()});
        if (ids[0] != 5) return " a token where there is none to choose";
    }
    return "";
}

template <class T>
std::string continuations(size_t width, size_t n, size_t count) {
    constexpr size_t sources = 3;
    const Array<T> logits = numbers<T>(sources * width * n, 5);
    Array<T> scores = numbers<T>(sources * width, 6);
    if (width > 1) scores[width] = -std::numeric_limits<T>::infinity();
    const int64_t banned[] = {0, static_cast<int64_t>(n) - 1};
    Array<T> values(sources * count);
    Array<int64_t> places(sources * count);
    rnnkit::best_continuations(rnnkit::Continuations<T>{logits.get(), scores.get(), banned, 2, sources,
                                                        static_cast<int64_t>(width), static_cast<int64_t>(n),
                                                        static_cast<int64_t>(count), values.get(), places.get()});
    for (size_t s = 0; s < sources; ++s) {
        std::vector<double> all;
        const auto total_of = [&](size_t place) {
            const T* const row = logits.get() + (s * width + place / n) * n;
            double sum = 0;
            for (size_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(row[i]));
            return static_cast<double>(row[place % n]) - std::log(sum) +
                   static_cast<double>(scores[s * width + place / n]);
        };
        for (size_t place = 0; place < width * n; ++place)
            if (place % n != 0 && place % n != n - 1 && total_of(place) > -INFINITY) all.push_back(total_of(place));
        std::sort(all.rbegin(), all.rend());
        for (size_t i = 0; i < count; ++i) {
            const auto found = static_cast<double>(values[s * count + i]);
            if (i >= all.size()) {
                if (found > -INFINITY) return " more continuations than there are";
                continue;
            }
            const double own = total_of(static_cast<size_t>(places[s * count + i]));
            if (!(std::abs(found - all[i]) < 1e-4 && std::abs(found - own) < 1e-4)) return " another continuation";
        }
    }
    return "";
}

}  // namespace

void test_tokens(Tally& tally) {
    const auto both = [&](const char* what, auto run) {
        tally.expect(what, "float", run(float{})), tally.expect(what, "double", run(double{}));
    };
    for (int64_t rows : {1, 5, 67})
        for (int64_t outputs : {1, 33, 4001})
            both("linear", [&](auto type) { return product<decltype(type)>(rows, 130, outputs, rows > 1, 3); });
    constexpr rnnkit::Filters settings[] = {
        {1, 0, 1, 0}, {0.7, 5, 1, 0}, {1.3, 0, 0.8, 0}, {1, 0, 1, 0.2}, {0.9, 40, 0.9, 0.05}};
    for (const rnnkit::Filters& filters : settings)
        for (size_t n : {1, 7, 100, 3001})
            both("draw of a token", [&](auto type) { return draw<decltype(type)>(filters, n); });
    both("no token", [](auto type) { return no_choice<decltype(type)>(); });
    for (size_t width : {1, 5})
        for (size_t n : {3, 500})
            both("continuations", [&](auto type) { return continuations<decltype(type)>(width, n, 2 * width); });
}
