// Python's interface to what single steps of generation need. Addresses are whole numbers; rnnkit/ops/native_linear.py
// and rnnkit/ops/native_tokens.py have checked dtype, device and shape of every array, and own the tensors.
#include "bindings.h"

#include <nanobind/stl/vector.h>

#include <mutex>
#include <string>
#include <vector>

#include "../address.h"
#include "../kernels/linear/linear.h"
#include "../kernels/tokens/tokens.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace rnnkit {

namespace {

// A weight that was packed once, for a number of rows.
template <class T>
class Linear {
public:
    Linear(int64_t rows, int64_t features, int64_t outputs, uintptr_t weight, uintptr_t bias)
        : problem_{rows, features, outputs, 1}, bias_(at_address<const T>(bias)) {
        if (rows < 1 || features < 1 || outputs < 1) throw nb::value_error("a size is below 1");
        scratch_.resize(linear_scratch(problem_, sizeof(T)));
        linear_pack(problem_, at_address<const T>(weight), scratch_.data());
    }
    void run(uintptr_t x, uintptr_t out, int threads) {
        nb::gil_scoped_release release;
        LinearProblem problem = problem_;
        problem.threads = threads;
        linear_forward(problem, LinearCall<T>{at_address<const T>(x), bias_, at_address<T>(out), scratch_.data()});
    }

private:
    LinearProblem problem_;
    const T* bias_;
    std::vector<unsigned char> scratch_;
};

// A weight in 8 bits with a scale for each output, packed once, for any number of rows.
class Int8Linear {
public:
    Int8Linear(int64_t features, int64_t outputs, uintptr_t weight, uintptr_t scales, uintptr_t bias, int threads)
        : problem_{1, features, outputs, threads}, bias_(at_address<const float>(bias)) {
        if (features < 1 || outputs < 1 || threads < 1) throw nb::value_error("a size is below 1");
        if (features > 65536) throw nb::value_error("more than 65,536 features, whose sums do not fit into 32 bits");
        scratch_.resize(int8_linear_scratch(problem_));
        int8_linear_pack(problem_, at_address<const int8_t>(weight), at_address<const float>(scales), scratch_.data());
    }
    void run(uintptr_t x, int64_t rows, uintptr_t out) {
        nb::gil_scoped_release release;
        std::lock_guard lock(mutex_);  // the scratch holds quantised rows
        LinearProblem problem = problem_;
        problem.rows = rows;
        int8_linear_forward(
            problem, LinearCall<float>{at_address<const float>(x), bias_, at_address<float>(out), scratch_.data()});
    }

private:
    LinearProblem problem_;
    const float* bias_;
    std::mutex mutex_;
    std::vector<unsigned char> scratch_;
};

template <class T>
void draw(uintptr_t logits, int64_t rows, int64_t vocabulary, double temperature, int64_t top_k, double top_p,
          double min_p, const std::vector<double>& uniform, uintptr_t ids) {
    if (vocabulary < 1 || uniform.size() != static_cast<size_t>(rows)) throw nb::value_error("a size does not fit");
    nb::gil_scoped_release release;
    std::vector<unsigned char> scratch(draw_scratch(vocabulary, sizeof(T)));
    draw_tokens(Filters{temperature, top_k, top_p, min_p},
                TokenDraw<T>{at_address<const T>(logits), uniform.data(), at_address<int64_t>(ids), rows, vocabulary,
                             scratch.data()});
}

template <class T>
void continuations(uintptr_t logits, uintptr_t scores, const std::vector<int64_t>& banned, int64_t sources,
                   int64_t width, int64_t vocabulary, int64_t count, uintptr_t values, uintptr_t places) {
    if (vocabulary < 1 || width < 1 || count < 1) throw nb::value_error("a size is below 1");
    nb::gil_scoped_release release;
    best_continuations(Continuations<T>{at_address<const T>(logits), at_address<const T>(scores), banned.data(),
                                        static_cast<int64_t>(banned.size()), sources, width, vocabulary, count,
                                        at_address<T>(values), at_address<int64_t>(places)});
}

template <class T>
void bind_type(nb::module_& module, const char* linear, const std::string& type) {
    nb::class_<Linear<T>>(module, linear)
        .def(nb::init<int64_t, int64_t, int64_t, uintptr_t, uintptr_t>(), "rows"_a, "features"_a, "outputs"_a,
             "weight"_a, "bias"_a)
        .def("run", &Linear<T>::run, "x"_a, "out"_a, "threads"_a);
    module.def(("draw_tokens_" + type).c_str(), &draw<T>, "logits"_a, "rows"_a, "vocabulary"_a, "temperature"_a,
               "top_k"_a, "top_p"_a, "min_p"_a, "uniform"_a, "ids"_a);
    module.def(("best_continuations_" + type).c_str(), &continuations<T>, "logits"_a, "scores"_a, "banned"_a,
               "sources"_a, "width"_a, "vocabulary"_a, "count"_a, "values"_a, "places"_a);
}

}  // namespace

void bind_generation(nb::module_& module) {
    bind_type<float>(module, "LinearF32", "f32");
    bind_type<double>(module, "LinearF64", "f64");
    nb::class_<Int8Linear>(module, "LinearInt8")
        .def(nb::init<int64_t, int64_t, uintptr_t, uintptr_t, uintptr_t, int>(), "features"_a, "outputs"_a, "weight"_a,
             "scales"_a, "bias"_a, "threads"_a)
        .def("run", &Int8Linear::run, "x"_a, "rows"_a, "out"_a);
}

}  // namespace rnnkit
