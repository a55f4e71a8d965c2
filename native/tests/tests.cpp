#include "tests.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "../common/cpu.h"
#include "../common/parallel.h"

void Tally::expect(const std::string& what, const char* type, const std::string& wrong) {
    wrong.empty() ? ++passed : ++failed;
    if (!wrong.empty() && failed <= 20) std::printf("%s, %s:%s\n", what.c_str(), type, wrong.c_str());
}

namespace {

template <class T>
void check_in(Tally& tally, const Problem& problem, const Expected& truth) {
    Call<T> call(problem);
    call.forward(false);
    const std::string inference = call.check_forward(truth), bits = call.forward_bits();
    call.forward(true);
    call.backward(all_fields);
    tally.expect(problem.c, type_name<T>,
                 inference + call.check_forward(truth) + call.check_backward(truth, all_fields) +
                     (bits == call.forward_bits() ? "" : " saving changed the results"));
}

template <class T>
void repeat_in(Tally& tally, const Problem& problem) {
    Call<T> first(problem), second(problem);
    for (Call<T>* call : {&first, &second}) call->forward(true), call->backward(all_fields);
    const bool same = first.forward_bits() == second.forward_bits() &&
                      first.backward_bits(all_fields) == second.backward_bits(all_fields);
    tally.expect(problem.c, type_name<T>, same ? "" : " other bits when repeated");
}

}  // namespace

void check(Tally& tally, const Case& c) {
    const Problem problem(c);
    const Expected truth = expected(problem);
    check_in<float>(tally, problem, truth);
    check_in<double>(tally, problem, truth);
}

void check_repeats(Tally& tally, const Case& c) {
    const Problem problem(c);
    repeat_in<float>(tally, problem);
    repeat_in<double>(tally, problem);
}

unsigned Draw::next(unsigned below) {
    state_ = state_ * 1664525u + 1013904223u;
    return (state_ >> 16) % below;
}

Case Draw::of(Kernel kernel, int64_t batch, int64_t time, int64_t input, int64_t hidden, unsigned from) {
    unsigned options = 0;
    for (int i = 0; i < option_count; ++i) options |= next(2) << i;
    const auto nonlinearity = static_cast<int>(next(3));
    return {kernel,       batch,  time,
            input,        hidden, served(kernel, options & from),
            nonlinearity, 1,      static_cast<Layout>(next(3))};
}

// Runs all subjects, or those that are named.
int main(int count, char** names) {
    if (*rnnkit::cpu_problem() != '\0') {
        std::printf("%s: nothing to test\n", rnnkit::cpu_problem());
        return 0;
    }
    constexpr struct {
        const char* name;
        void (*run)(Tally&);
    } subjects[] = {{"truth", test_truth},           {"options", test_options},   {"rows", test_rows},
                    {"units", test_units},           {"edges", test_edges},       {"streams", test_streams},
                    {"draws", test_draws},           {"threads", test_threads},   {"tokens", test_tokens},
                    {"transducer", test_transducer}, {"training", test_training}, {"int8", test_int8}};
    int failed = 0;
    std::printf("%s, threads by %s:", rnnkit::cpu_name(rnnkit::chosen_cpu()), rnnkit::thread_runtime());
    for (const auto& subject : subjects) {
        if (count > 1 && std::none_of(names + 1, names + count,
                                      [&](const char* name) { return std::strcmp(name, subject.name) == 0; }))
            continue;
        Tally tally;
        subject.run(tally);
        std::printf(" %s %d", subject.name, tally.passed);
        if (tally.failed > 0) std::printf(" (%d FAILED)", tally.failed);
        std::fflush(stdout);
        // A subject that tested nothing is no success.
        failed += tally.failed + (tally.passed == 0);
    }
    std::printf("\n");
    return failed == 0 ? 0 : 1;
}
