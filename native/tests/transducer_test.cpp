// The loss of a transducer and its gradient against the sums over the lattice in double precision, and on small
// lattices against all alignments one by one.
#include <algorithm>
#include <vector>

#include "../kernels/transducer/transducer.h"
#include "tests.h"

namespace {

constexpr double never = -INFINITY;

// Sizes of the arrays, and one row's lengths each; logits and labels are made by `seed`.
struct Rows {
    int64_t frames, labels, vocabulary, blank;
    std::vector<int64_t> frame_lengths, label_lengths;

    size_t nodes() const { return static_cast<size_t>(frames * (labels + 1)); }
    size_t node(int64_t t, int64_t u) const { return static_cast<size_t>(t * (labels + 1) + u); }
    size_t V() const { return static_cast<size_t>(vocabulary); }
    size_t batch() const { return frame_lengths.size(); }
};

struct Truth {
    double loss = 0;
    std::vector<double> gradient;  // [T, U + 1, V], 0 outside of the lattice
};

double log_add(double a, double b) {
    const double most = std::max(a, b);
    return most == never ? never : most + std::log1p(std::exp(std::min(a, b) - most));
}

// The loss of one row by its equations, and its gradient by the forward and the backward variables.
Truth truth_of(const Rows& rows, size_t b, const float* x, const int64_t* y) {
    const int64_t T = rows.frame_lengths[b], U = rows.label_lengths[b];
    std::vector<double> p(rows.nodes() * rows.V()), alpha(rows.nodes(), never), beta(rows.nodes(), never);
    for (int64_t t = 0; t < T; ++t)
        for (int64_t u = 0; u <= U; ++u) {
            const size_t at = rows.node(t, u) * rows.V();
            double sum = 0;
            for (size_t k = 0; k < rows.V(); ++k) sum += p[at + k] = std::exp(static_cast<double>(x[at + k]));
            for (size_t k = 0; k < rows.V(); ++k) p[at + k] /= sum;
        }
    const auto log_p = [&](int64_t t, int64_t u, int64_t k) {
        return std::log(p[rows.node(t, u) * rows.V() + static_cast<size_t>(k)]);
    };
    for (int64_t t = 0; t < T; ++t)
        for (int64_t u = 0; u <= U; ++u) {
            double& to = alpha[rows.node(t, u)];
            if (t + u == 0) to = 0;
            if (t > 0) to = log_add(to, alpha[rows.node(t - 1, u)] + log_p(t - 1, u, rows.blank));
            if (u > 0) to = log_add(to, alpha[rows.node(t, u - 1)] + log_p(t, u - 1, y[u - 1]));
        }
    const auto after = [&](int64_t t, int64_t u) {
        return t == T && u == U ? 0 : t == T || u > U ? never : beta[rows.node(t, u)];
    };
    for (int64_t t = T - 1; t >= 0; --t)
        for (int64_t u = U; u >= 0; --u) {
            double& to = beta[rows.node(t, u)];
            to = log_p(t, u, rows.blank) + after(t + 1, u);
            if (u < U) to = log_add(to, log_p(t, u, y[u]) + after(t, u + 1));
        }
    Truth truth{-beta[0], std::vector<double>(rows.nodes() * rows.V(), 0.0)};
    for (int64_t t = 0; t < T && truth.loss < INFINITY; ++t)
        for (int64_t u = 0; u <= U; ++u) {
            double* const d = truth.gradient.data() + rows.node(t, u) * rows.V();
            const double* const q = p.data() + rows.node(t, u) * rows.V();
            const double before = alpha[rows.node(t, u)] + truth.loss;
            const double blank = std::exp(before + log_p(t, u, rows.blank) + after(t + 1, u));
            const double label = u < U ? std::exp(before + log_p(t, u, y[u]) + after(t, u + 1)) : 0;
            for (size_t k = 0; k < rows.V(); ++k) d[k] = (blank + label) * q[k];
            d[rows.blank] -= blank;
            if (u < U) d[y[u]] -= label;
        }
    return truth;
}

// P of all alignments from a node on, each by itself.
double enumerate(const Rows& rows, size_t b, const float* x, const int64_t* y, int64_t t, int64_t u) {
    const int64_t T = rows.frame_lengths[b], U = rows.label_lengths[b];
    if (t == T) return u == U ? 1 : 0;
    const float* const z = x + rows.node(t, u) * rows.V();
    double sum = 0;
    for (size_t k = 0; k < rows.V(); ++k) sum += std::exp(static_cast<double>(z[k]));
    double p = std::exp(static_cast<double>(z[rows.blank])) / sum * enumerate(rows, b, x, y, t + 1, u);
    if (u < U) p += std::exp(static_cast<double>(z[y[u]])) / sum * enumerate(rows, b, x, y, t, u + 1);
    return p;
}

// Logits and labels, with NaN and labels that do not exist outside of the lattices.
struct Data {
    Array<float> logits;
    std::vector<int64_t> targets;

    Data(const Rows& rows, unsigned seed) : logits(rows.batch() * rows.nodes() * rows.V()) {
        Draw draw(seed);
        for (size_t b = 0; b < rows.batch(); ++b) {
            for (int64_t t = 0; t < rows.frame_lengths[b]; ++t)
                for (int64_t u = 0; u <= rows.label_lengths[b]; ++u)
                    for (size_t k = 0; k < rows.V(); ++k)
                        logits[(b * rows.nodes() + rows.node(t, u)) * rows.V() + k] =
                            static_cast<float>(draw.next(2001)) / 250.f - 4.f;
            for (int64_t u = 0; u < rows.labels; ++u) {
                const auto other = static_cast<int64_t>(draw.next(static_cast<unsigned>(rows.vocabulary - 1)));
                const int64_t label = other + (other >= rows.blank);
                targets.push_back(u < rows.label_lengths[b] ? label : -1);
            }
        }
    }
};

struct Result {
    Array<float> losses, gradient;
};

Result run(const Rows& rows, const Data& data, const Array<float>& dlosses, int threads) {
    const rnnkit::TransducerProblem problem{static_cast<int64_t>(rows.batch()),
                                            rows.frames,
                                            rows.labels,
                                            rows.vocabulary,
                                            rows.blank,
                                            threads,
                                            rows.frame_lengths.data(),
                                            rows.label_lengths.data(),
                                            data.targets.data()};
    Result result{Array<float>(rows.batch()), Array<float>(data.logits.size())};
    const Scratch forward(rnnkit::transducer_scratch(problem, false));
    rnnkit::transducer_forward(problem, data.logits.get(), result.losses.get(), forward.get());
    const Scratch backward(rnnkit::transducer_scratch(problem, true));
    rnnkit::transducer_backward(problem, data.logits.get(), dlosses.get(), result.gradient.get(), backward.get());
    return result;
}

std::string check_rows(const Rows& rows, const Data& data, bool one_by_one) {
    Array<float> dlosses(rows.batch());
    for (size_t b = 0; b < rows.batch(); ++b) dlosses[b] = 1.f + static_cast<float>(b) / 4.f;
    const Result one = run(rows, data, dlosses, 1), several = run(rows, data, dlosses, 3);
    for (size_t b = 0; b < rows.batch(); ++b) {
        const float* const x = data.logits.get() + b * rows.nodes() * rows.V();
        const int64_t* const y = data.targets.data() + b * static_cast<size_t>(rows.labels);
        const Truth truth = truth_of(rows, b, x, y);
        const auto loss = static_cast<double>(one.losses[b]);
        if (!(std::abs(loss - truth.loss) <= 1e-6 * (1 + truth.loss)) && loss != truth.loss) return " another loss";
        if (one_by_one && !(std::abs(std::exp(-loss) / enumerate(rows, b, x, y, 0, 0) - 1) <= 1e-5))
            return " not the sum over all alignments";
        for (size_t i = 0; i < truth.gradient.size(); ++i) {
            const size_t at = b * truth.gradient.size() + i;
            const double expected = truth.gradient[i] * static_cast<double>(dlosses[b]);
            if (!(std::abs(static_cast<double>(one.gradient[at]) - expected) <= 2e-6)) return " another gradient";
            if (one.gradient[at] != several.gradient[at]) return " other bits from other threads";
        }
        if (one.losses[b] != several.losses[b]) return " another loss from other threads";
    }
    return "";
}

std::string check_rows(const Rows& rows, bool one_by_one = false) {
    return check_rows(rows, Data(rows, static_cast<unsigned>(rows.frames * rows.vocabulary)), one_by_one);
}

// Label and blank of one node cannot follow: paths go around it, or there are none.
std::string impossible(bool all) {
    const Rows rows{3, 2, 9, 4, {3, 2}, {2, 1}};
    Data data(rows, 7);
    for (int64_t t = 0; t < (all ? 3 : 1); ++t)
        data.logits[rows.node(t, 1) * rows.V() + static_cast<size_t>(data.targets[1])] = -INFINITY;
    return check_rows(rows, data, false);
}

}  // namespace

void test_transducer(Tally& tally) {
    const auto expect = [&](const char* what, const std::string& wrong) { tally.expect(what, "float", wrong); };
    for (int64_t vocabulary : {2, 5, 6, 9, 33}) {
        expect("small lattice", check_rows({4, 3, vocabulary, vocabulary / 2, {4, 2, 1, 3}, {3, 0, 2, 3}}, true));
        expect("one frame", check_rows({1, 5, vocabulary, 0, {1, 1}, {5, 0}}, true));
        expect("no labels", check_rows({6, 0, vocabulary, vocabulary - 1, {6, 4}, {0, 0}}, true));
        expect("ragged", check_rows({41, 19, vocabulary, 0, {41, 7, 30, 1, 20}, {19, 19, 3, 11, 0}}));
        expect("wide", check_rows({3, 40, vocabulary, 1, {3, 2}, {40, 35}}));
    }
    expect("large vocabulary", check_rows({5, 4, 1200, 0, {5, 3}, {4, 4}}));
    expect("many rows", check_rows({12, 7, 21, 3, std::vector<int64_t>(40, 9), std::vector<int64_t>(40, 6)}));
    expect("a label of probability 0", impossible(false));
    expect("no alignment", impossible(true));
}
