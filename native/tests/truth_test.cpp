// The truth itself: its gradients against differences of its values.
#include <cmath>

#include "tests.h"

namespace {

constexpr double step = 1e-4;

// How far the loss's slope along one direction is from what the gradients say, beside the slope.
double slope_error(const Case& c) {
    const Problem problem(c);
    const Expected truth = expected(problem);
    Problem ahead = problem, behind = problem;
    double slope = 0;
    for (size_t f = 0; f < fields; ++f)
        for (size_t i = 0; i < problem.given[f].size(); ++i) {
            if (std::isnan(problem.given[f][i])) continue;
            const double direction = std::sin(static_cast<double>(i + 3 * f));
            ahead.given[f][i] += step * direction, behind.given[f][i] -= step * direction;
            slope += direction * truth.gradients[f][i];
        }
    const double found = (expected(ahead).loss - expected(behind).loss) / (2 * step);
    return std::abs(found - slope) / std::fmax(1, std::abs(slope));
}

}  // namespace

void test_truth(Tally& tally) {
    for (Kernel kernel : kernels)
        for (unsigned without : {0u, unsigned{normed}, unsigned{before}, unsigned{normed | before | projected}}) {
            const Case c{kernel, 3, 4, 2, 5, served(kernel, all_options & ~without)};
            const double error = slope_error(c);
            // Half the error of a difference is its third derivative.
            tally.expect(c, "truth", error < 1e-5 ? "" : " gradients differ by " + std::to_string(error));
        }
}
