// Weights in 8 bits: on the family in use, on the plain one, and on the way of VNNI with its instruction written out.
#include "../kernels/gru/gru.h"
#include "../kernels/linear/linear.h"
#include "../kernels/lstm/lstm.h"
#include "../kernels/simple_rnn/simple_rnn.h"
#include "tests.h"

namespace {

using rnnkit::Int8Weights;
using rnnkit::RecurrentForward;
using rnnkit::RecurrentProblem;
using rnnkit::RecurrentWeights;

// A kernel's functions of one family.
struct Functions {
    size_t (*scratch)(const RecurrentProblem&);
    void (*pack)(const RecurrentProblem&, const RecurrentWeights<float>&, const Int8Weights&, void*);
    void (*forward)(const RecurrentProblem&, const RecurrentForward<float>&);
};
#define FUNCTIONS(family, name) \
    {rnnkit::family::name##_scratch, rnnkit::family::name##_pack, rnnkit::family::name##_forward}
#define KERNELS(family) {FUNCTIONS(family, simple_rnn), FUNCTIONS(family, lstm), FUNCTIONS(family, gru)}
constexpr Functions generic[] = KERNELS(int8_generic), emulated[] = KERNELS(int8_emulated);
constexpr Functions chosen = {rnnkit::int8_scratch, rnnkit::int8_pack, rnnkit::int8_forward};

// The emulated family is compiled for AVX2 where there is such a thing.
bool emulated_runs() {
#if defined(RNNKIT_X86)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

struct Matrix {
    Array<int8_t> numbers;
    Array<float> scales;

    Matrix() = default;
    // Puts a matrix of so many rows in 8 bits, and what these mean in its place.
    Matrix(std::vector<double>& matrix, size_t rows) : numbers(matrix.size()), scales(rows) {
        const size_t depth = matrix.empty() ? 0 : matrix.size() / rows;
        for (size_t r = 0; r < rows; ++r) {
            double* const row = matrix.data() + r * depth;
            double largest = 0;
            for (size_t k = 0; k < depth; ++k) largest = std::fmax(largest, std::abs(row[k]));
            scales[r] = static_cast<float>(largest / 127);
            for (size_t k = 0; k < depth; ++k) {
                const double q = largest > 0 ? std::nearbyint(row[k] / largest * 127) : 0;
                numbers[r * depth + k] = static_cast<int8_t>(q), row[k] = q * scales[r];
            }
        }
    }
};

// Quantised inputs and states move outputs by some percent; a norm over few entries magnifies that without a bound.
constexpr double percents = 0.06 / 4e-6;

void check_case(Tally& tally, const Case& c) {
    Problem problem(c);
    const auto wide = static_cast<size_t>(c.gates() * c.hidden);
    const Matrix w_(problem.given[w], wide), u_(problem.given[u], wide);
    const Matrix p_(problem.given[projection], problem.given[projection].empty() ? 0 : size_t(c.state_size()));
    const Int8Weights matrices{w_.numbers.get(), u_.numbers.get(), p_.numbers.get(), w_.scales.get(),
                               u_.scales.get(),  p_.scales.get(),  nullptr};
    const Expected truth = expected(problem);
    const auto run = [&](const Functions& family, const char* name) {
        Call<float> call(problem);
        call.forward_by([&](const RecurrentProblem& sizes, RecurrentForward<float>& forward) {
            forward.weights.w = forward.weights.u = forward.weights.projection = nullptr;
            const Scratch scratch(family.scratch(sizes));
            forward.scratch = scratch.get();
            family.pack(sizes, forward.weights, matrices, scratch.get());
            family.forward(sizes, forward);
        });
        tally.expect(c, name, call.check_forward(truth, c.has(normed) ? 1e12 : percents));
    };
    run(chosen, "int8"), run(generic[c.kernel], "generic int8");
    if (emulated_runs()) run(emulated[c.kernel], "emulated int8");
}

// Whole rows with a largest entry of 127, whose scale is 1: the sums themselves, bit by bit.
void check_sums(Tally& tally, int64_t rows, int64_t features, int64_t outputs, int threads) {
    using Size = size_t;
    Draw draw(static_cast<unsigned>(rows + features));
    const auto number = [&] { return static_cast<int>(draw.next(255)) - 127; };
    Array<float> inputs(Size(rows * features)), scales(Size{static_cast<Size>(outputs)}),
        bias(Size{static_cast<Size>(outputs)});
    Array<int8_t> weight(Size(outputs * features));
    for (Size i = 0; i < inputs.size(); ++i) inputs[i] = static_cast<float>(number());
    for (int64_t r = 0; r < rows; ++r) inputs[Size(r * features)] = r % 2 == 0 ? 127.0f : -127.0f;
    for (Size i = 0; i < weight.size(); ++i) weight[i] = static_cast<int8_t>(number());
    for (Size i = 0; i < scales.size(); ++i) scales[i] = 1, bias[i] = static_cast<float>(number());
    const rnnkit::LinearProblem problem{rows, features, outputs, threads};
    const auto run = [&](auto scratch_size, auto pack, auto forward, const char* name) {
        Array<float> found(Size(rows * outputs));
        const Scratch scratch(scratch_size(problem));
        pack(problem, weight.get(), scales.get(), scratch.get());
        forward(problem, rnnkit::LinearCall<float>{inputs.get(), bias.get(), found.get(), scratch.get()});
        std::string wrong;
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t o = 0; o < outputs; ++o) {
                int64_t sum = static_cast<int64_t>(bias[Size(o)]);
                for (int64_t k = 0; k < features; ++k)
                    sum += static_cast<int64_t>(inputs[Size(r * features + k)]) * weight[Size(o * features + k)];
                if (found[Size(r * outputs + o)] != static_cast<float>(sum)) wrong = " a sum differs";
            }
        tally.expect("linear " + std::to_string(rows) + " x " + std::to_string(features), name, wrong);
    };
    run(rnnkit::int8_linear_scratch, rnnkit::int8_linear_pack, rnnkit::int8_linear_forward, "int8");
    run(rnnkit::int8_generic::int8_linear_scratch, rnnkit::int8_generic::int8_linear_pack,
        rnnkit::int8_generic::int8_linear_forward, "generic int8");
    if (emulated_runs())
        run(rnnkit::int8_emulated::int8_linear_scratch, rnnkit::int8_emulated::int8_linear_pack,
            rnnkit::int8_emulated::int8_linear_forward, "emulated int8");
}

}  // namespace

void test_int8(Tally& tally) {
    for (const auto& s :
         {std::array<int64_t, 3>{1, 1, 1}, {3, 7, 17}, {17, 31, 33}, {33, 3, 31}, {70, 130, 5}, {4, 600, 67}})
        for (int threads : {1, 3}) check_sums(tally, s[0], s[1], s[2], threads);
    constexpr int64_t sizes[][4] = {{1, 1, 1, 1}, {3, 5, 2, 7}, {5, 4, 3, 33}, {70, 2, 9, 17}, {0, 3, 2, 5}};
    constexpr unsigned usual = bias_x | bias_h | state;
    int number = 0;
    for (Kernel kernel : kernels)
        for (const auto& s : sizes)
            for (unsigned more : {0u, unsigned{masked}, zoned_h | zoned_c, peepholes | projected, unsigned{normed},
                                  unsigned{before}, before | masked | ragged, ragged | resets | initial,
                                  ragged | backwards, zoned_h | ragged | projected | even_zones}) {
                const auto layout = static_cast<Layout>(number % 3);
                check_case(tally, {kernel, s[0], s[1], s[2], s[3], served(kernel, usual | more), number % 3,
                                   1 + number % 2, layout});
                ++number;
            }
    for (Kernel kernel : kernels) check_case(tally, {kernel, 2, 3, 40, 700, served(kernel, usual | ragged), 0, 3});
}
