// Python's interface to the core: check, release the GIL, call. recurrent_call.h says what a call is.
#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <mutex>
#include <tuple>
#include <vector>

#include "common/cpu.h"
#include "common/parallel.h"
#include "generation/bindings.h"
#include "kernels/bernoulli/bernoulli.h"
#include "kernels/recurrent.h"
#include "recurrent_call.h"
#include "training/bindings.h"
#include "training/loss_bindings.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace rnnkit;

namespace {

template <class T>
void forward(const Problem& problem, nb::dict arrays) {
    const RecurrentForward<T> call = read_forward<T>(arrays);
    check_options(problem, call, call.weights.projection);
    check_added(problem, call);
    nb::gil_scoped_release release;
    recurrent_pack(problem, call.weights, call.scratch);
    recurrent_forward(problem, call);
}

template <class T>
void backward(const Problem& problem, nb::dict arrays) {
    const RecurrentBackward<T> call = read_backward<T>(arrays);
    check_options(problem, call, call.weights.projection);
    if (problem.batch > 0 && call.saved.data == nullptr && recurrent_saved_width(problem) > 0)
        refuse("the array 'saved' is missing: the forward call has to save it");
    nb::gil_scoped_release release;
    recurrent_backward(problem, call);
}

Int8Call checked_int8(const Problem& problem, nb::dict arrays) {
    constexpr int64_t longest = 65536;  // of a row, whose products would not fit into 32 bits otherwise
    if (problem.element != Element::float32) refuse("weights in 8 bits serve float32 alone");
    if (problem.input > longest || problem.hidden > longest) refuse("weights in 8 bits have rows up to 65,536");
    const Int8Call found = read_int8(arrays);
    check_options(problem, found.call, found.matrices.projection);
    if ((found.matrices.projection != nullptr) != (found.matrices.projection_scales != nullptr))
        refuse("the arrays 'w_hr' and 'w_hr_scales' come together");
    if (found.matrices.diagonal != nullptr && problem.kernel != Kernel::simple_rnn)
        refuse("the simple layer alone has the array 'w_hh_diagonal'");
    return found;
}

void forward_int8(const Problem& problem, nb::dict arrays) {
    const Int8Call found = checked_int8(problem, arrays);
    nb::gil_scoped_release release;
    int8_pack(problem, found.call.weights, found.matrices, found.call.scratch);
    int8_forward(problem, found.call);
}

// Stacked layers that take one step at a time on buffers which the caller owns, with weights packed once.
template <class T>
class Stream {
public:
    void add(const Problem& problem, nb::dict arrays) {
        check(problem);
        const RecurrentForward<T> call = read_forward<T>(arrays);
        check_options(problem, call, call.weights.projection);
        check_added(problem, call);
        recurrent_pack(problem, call.weights, call.scratch);
        layers_.push_back({problem, call, false});
    }
    // A layer whose matrices have 8 bits.
    void add_int8(const Problem& problem, nb::dict arrays)
        requires std::same_as<T, float>
    {
        check(problem);
        const Int8Call found = checked_int8(problem, arrays);
        int8_pack(problem, found.call.weights, found.matrices, found.call.scratch);
        layers_.push_back({problem, found.call, true});
    }
    // x [B, I] with adjacent rows; each further layer reads what the one before wrote.
    void step(uintptr_t x) {
        nb::gil_scoped_release release;
        take_step(x);
    }
    // The median of `repeats` steps, in seconds.
    double seconds_per_step(uintptr_t x, int repeats) {
        nb::gil_scoped_release release;
        std::vector<double> seconds;
        for (int i = 0; i < repeats; ++i) {
            const auto begin = std::chrono::steady_clock::now();
            take_step(x);
            seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        }
        std::nth_element(seconds.begin(), seconds.begin() + repeats / 2, seconds.end());
        return seconds[static_cast<size_t>(repeats) / 2];
    }

private:
    struct Layer {
        RecurrentProblem problem;
        RecurrentForward<T> call;
        bool int8;
    };
    static void check(const Problem& problem) {
        if (problem.element_size() != sizeof(T)) refuse("the stream's numbers are of another type");
        if (problem.time != 1 || problem.lengths != nullptr || problem.resets.data != nullptr)
            refuse("a stream's layers take one step, without lengths and resets");
    }
    static void run(const Layer& layer) {
        if constexpr (std::same_as<T, float>)
            if (layer.int8) return int8_forward(layer.problem, layer.call);
        recurrent_forward(layer.problem, layer.call);
    }
    void take_step(uintptr_t x) {
        std::lock_guard lock(mutex_);
        const T* input = reinterpret_cast<const T*>(x);
        for (Layer& layer : layers_) {
            layer.call.x = {input, layer.problem.input, 0};
            run(layer);
            input = layer.call.out.data;
        }
    }
    std::mutex mutex_;
    std::vector<Layer> layers_;
};

template <class T>
void draw(uintptr_t to, int64_t count, double probability, double value, uint64_t seed, int threads) {
    nb::gil_scoped_release release;
    bernoulli(reinterpret_cast<T*>(to), count, probability, static_cast<T>(value), seed, threads);
}

template <class T>
void bind_stream(nb::module_& module, const char* name) {
    nb::class_<Stream<T>> bound(module, name);
    bound.def(nb::init<>())
        .def("add", &Stream<T>::add, "problem"_a, "arrays"_a)
        .def("step", &Stream<T>::step, "x"_a)
        .def("seconds_per_step", &Stream<T>::seconds_per_step, "x"_a, "repeats"_a);
    if constexpr (std::same_as<T, float>) bound.def("add_int8", &Stream<T>::add_int8, "problem"_a, "arrays"_a);
}

void bind_problem(nb::module_& module) {
    nb::enum_<Kernel>(module, "Kernel")
        .value("simple_rnn", Kernel::simple_rnn)
        .value("lstm", Kernel::lstm)
        .value("gru", Kernel::gru);
    nb::enum_<Variant>(module, "Variant")
        .value("standard", Variant::standard)
        .value("tanh", Variant::tanh)
        .value("relu", Variant::relu)
        .value("sigmoid", Variant::sigmoid)
        .value("reset_after", Variant::reset_after)
        .value("reset_before", Variant::reset_before);
    nb::enum_<Element>(module, "Element").value("float32", Element::float32).value("float64", Element::float64);

    using Resets = std::tuple<uintptr_t, int64_t, int64_t>;  // address, stride over the batch, stride over time
    nb::class_<Problem>(module, "RecurrentProblem")
        .def(
            "__init__",
            [](Problem* self, Kernel kernel, Variant variant, Element element, int64_t batch, int64_t time,
               int64_t input, int64_t hidden, int64_t state, bool reverse, bool masked, bool zoned_h, bool zoned_c,
               bool peepholes, bool normed, int threads, uintptr_t lengths, const Resets& resets) {
                const RecurrentProblem fields{
                    .kernel = kernel,
                    .variant = variant,
                    .batch = batch,
                    .time = time,
                    .input = input,
                    .hidden = hidden,
                    .state = state,
                    .reverse = reverse,
                    .masked = masked,
                    .zoned_h = zoned_h,
                    .zoned_c = zoned_c,
                    .peepholes = peepholes,
                    .normed = normed,
                    .threads = threads,
                    .lengths = reinterpret_cast<const int64_t*>(lengths),
                    .resets = {reinterpret_cast<const uint8_t*>(std::get<0>(resets)), std::get<1>(resets),
                               std::get<2>(resets)},
                };
                const Problem problem{fields, element};
                check_problem(problem);
                new (self) Problem(problem);
            },
            nb::kw_only(), "kernel"_a, "variant"_a, "element"_a, "batch"_a, "time"_a, "input"_a, "hidden"_a, "state"_a,
            "reverse"_a = false, "masked"_a = false, "zoned_h"_a = false, "zoned_c"_a = false, "peepholes"_a = false,
            "normed"_a = false, "threads"_a = 1, "lengths"_a = 0, "resets"_a = Resets{0, 0, 0})
        .def(
            "scratch",
            [](const Problem& self, bool backward) { return recurrent_scratch(self, self.element_size(), backward); },
            "backward"_a)
        .def("scratch_int8", [](const Problem& self) { return int8_scratch(self); })
        .def(
            "forward_int8", [](const Problem& self, nb::dict arrays) { forward_int8(self, arrays); }, "arrays"_a)
        .def_prop_ro("saved_width", [](const Problem& self) { return recurrent_saved_width(self); })
        .def(
            "forward",
            [](const Problem& self, nb::dict arrays) {
                self.element == Element::float32 ? forward<float>(self, arrays) : forward<double>(self, arrays);
            },
            "arrays"_a)
        .def(
            "backward",
            [](const Problem& self, nb::dict arrays) {
                self.element == Element::float32 ? backward<float>(self, arrays) : backward<double>(self, arrays);
            },
            "arrays"_a);
}

nb::dict cpu_info() {
    nb::list available;
    for (Cpu cpu : {Cpu::avx512, Cpu::avx2, Cpu::generic})
        if (cpu_available(cpu)) available.append(cpu_name(cpu));
    nb::dict info;
    info["chosen"] = cpu_name(chosen_cpu());
    info["int8"] = cpu_name(chosen_int8_cpu());
    nb::list with_vnni;
    for (Cpu cpu : {Cpu::avx512vnni, Cpu::avxvnni})
        if (cpu_available(cpu)) with_vnni.append(cpu_name(cpu));
    info["vnni"] = with_vnni;
    info["available"] = available;
    info["problem"] = cpu_problem();
    info["threads"] = thread_runtime();
    info["busy_cores_of_others"] = busy_cores_of_others();
    return info;
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "rnnkit's native core. Private: use rnnkit.ops.";
    module.def("cpu_info", &cpu_info);
    module.def("assume_busy_cores_of_others", &assume_busy_cores_of_others, "cores"_a);
    bind_problem(module);
    module.def("bernoulli_f32", &draw<float>);
    module.def("bernoulli_f64", &draw<double>);
    bind_stream<float>(module, "StreamF32");
    bind_stream<double>(module, "StreamF64");
    bind_training(module);
    bind_losses(module);
    bind_generation(module);
}
