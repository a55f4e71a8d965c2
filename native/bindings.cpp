// Python's interface to the core: check, release the GIL, call.
//
// A call is a RecurrentProblem, whose fields are keyword arguments, and a dict of its arrays by name: an address, or
// for sequences (address, stride over the batch, stride over time). An array that is not in the dict is not given.
// rnnkit/ops/native_call.py has checked dtype, device and shape of every array; it owns the tensors.
#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "array_reader.h"
#include "common/cpu.h"
#include "common/parallel.h"
#include "generation/bindings.h"
#include "kernels/bernoulli/bernoulli.h"
#include "kernels/recurrent.h"
#include "training/bindings.h"
#include "training/loss_bindings.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace rnnkit;

namespace {

enum class Element : int { float32, float64 };

struct Problem : RecurrentProblem {
    Element element;

    size_t element_size() const { return element == Element::float32 ? sizeof(float) : sizeof(double); }
};

// --- arrays by name --------------------------------------------------------------------------------------------------

// All but the input and the matrices.
template <class T>
void read_small_inputs(ArrayReader& read, RecurrentInputs<T>& call) {
    RecurrentWeights<T>& weights = call.weights;
    read("b_ih", weights.bias[0]);
    read("b_hh", weights.bias[1]);
    read("peephole", weights.peephole);
    read("gain_ih", weights.gain_x);
    read("gain_hh", weights.gain_h);
    read("gain_c", weights.gain_c);
    read("shift_c", weights.shift_c);
    read("h0", call.h0);
    read("c0", call.c0);
    read("reset_h", call.reset_h);
    read("reset_c", call.reset_c);
    read("mask", call.mask);
    read("zone_h", call.zone_h);
    read("zone_c", call.zone_c);
}

template <class T>
void read_inputs(ArrayReader& read, RecurrentInputs<T>& call) {
    RecurrentWeights<T>& weights = call.weights;
    read.required("x", call.x);
    read.required("w_ih", weights.w);
    read.required("w_hh", weights.u);
    read("w_hr", weights.projection);
    read_small_inputs(read, call);
}

template <class T>
RecurrentForward<T> read_forward(nb::dict arrays) {
    static std::vector<PyObject*> names;
    ArrayReader read(arrays, names);
    RecurrentForward<T> call;
    read_inputs(read, call);
    read.required("out", call.out);
    read.required("hn", call.hn);
    read("cn", call.cn);
    read("saved", call.saved);
    read("added", call.added);
    read.required("scratch", call.scratch);
    read.finish();
    return call;
}

// A forward call whose matrices have 8 bits.
struct Int8Call {
    RecurrentForward<float> call;
    Int8Weights matrices;
};

Int8Call read_int8(nb::dict arrays) {
    static std::vector<PyObject*> names;
    ArrayReader read(arrays, names);
    Int8Call found;
    RecurrentForward<float>& call = found.call;
    RecurrentWeights<float>& weights = call.weights;
    weights.w = weights.u = weights.projection = nullptr;
    read.required("x", call.x);
    read.required("w_ih", found.matrices.w);
    read.required("w_ih_scales", found.matrices.w_scales);
    read.required("w_hh", found.matrices.u);
    read.required("w_hh_scales", found.matrices.u_scales);
    read("w_hr", found.matrices.projection);
    read("w_hr_scales", found.matrices.projection_scales);
    read("w_hh_diagonal", found.matrices.diagonal);
    read_small_inputs(read, call);
    read.required("out", call.out);
    read.required("hn", call.hn);
    read("cn", call.cn);
    call.saved = {nullptr, 0, 0};
    read.required("scratch", call.scratch);
    read.finish();
    return found;
}

template <class T>
RecurrentBackward<T> read_backward(nb::dict arrays) {
    static std::vector<PyObject*> names;
    ArrayReader read(arrays, names);
    RecurrentBackward<T> call;
    read_inputs(read, call);
    read.required("out", call.out);
    read("saved", call.saved);
    read("dout", call.dout);
    read("dcells", call.dcells);
    read("dhn", call.dhn);
    read("dcn", call.dcn);
    read("dx", call.dx);
    read("dw_ih", call.dw);
    read("dw_hh", call.du);
    read("db_ih", call.db[0]);
    read("db_hh", call.db[1]);
    read("dw_hr", call.dprojection);
    read("dpeephole", call.dpeephole);
    read("dgain_ih", call.dgain_x);
    read("dgain_hh", call.dgain_h);
    read("dgain_c", call.dgain_c);
    read("dshift_c", call.dshift_c);
    read("dh0", call.dh0);
    read("dc0", call.dc0);
    read("dreset_h", call.dreset_h);
    read("dreset_c", call.dreset_c);
    read.required("scratch", call.scratch);
    read.finish();
    return call;
}

// --- the last checks before memory is touched ------------------------------------------------------------------------

bool has_variant(Kernel kernel, Variant variant) {
    switch (variant) {
        case Variant::standard:
            return kernel == Kernel::lstm;
        case Variant::reset_after:
        case Variant::reset_before:
            return kernel == Kernel::gru;
        default:
            return kernel == Kernel::simple_rnn;
    }
}

void check_problem(const Problem& problem) {
    if (problem.batch < 0 || problem.time < 1 || problem.input < 0 || problem.hidden < 1 || problem.state < 1 ||
        problem.state > problem.hidden)
        refuse(
            "a size is out of range: batch and input are 0 or more, time, hidden and state 1 or more, and state is "
            "no larger than hidden");
    if (!has_variant(problem.kernel, problem.variant)) refuse("the kernel has no such variant");
    const bool is_lstm = problem.kernel == Kernel::lstm;
    if (!is_lstm && (problem.state != problem.hidden || problem.zoned_c || problem.peepholes))
        refuse("the LSTM alone has a projection, zoned_c and peepholes");
    if (problem.variant == Variant::reset_before && problem.normed) refuse("reset_before does not go with normed");
    for (int64_t b = 0; problem.lengths != nullptr && b < problem.batch; ++b)
        if (problem.lengths[b] < 0 || problem.lengths[b] > problem.time) refuse("a length lies outside 0 ... T");
}

// The arrays of the problem's options are given, and no others.
template <class T>
void check_options(const Problem& problem, const RecurrentInputs<T>& call, const void* projection) {
    const RecurrentWeights<T>& weights = call.weights;
    const bool lstm_norm = problem.normed && problem.kernel == Kernel::lstm;
    const struct {
        const char* name;
        bool expected, given;
    } options[] = {
        {"w_hr", problem.state != problem.hidden, projection != nullptr},
        {"peephole", problem.peepholes, weights.peephole != nullptr},
        {"gain_ih", problem.normed, weights.gain_x != nullptr},
        {"gain_hh", problem.normed, weights.gain_h != nullptr},
        {"gain_c", lstm_norm, weights.gain_c != nullptr},
        {"shift_c", lstm_norm, weights.shift_c != nullptr},
        // Without rows these have no address.
        {"mask", problem.masked && problem.batch > 0, call.mask != nullptr},
        {"zone_h", problem.zoned_h && problem.batch > 0, call.zone_h.data != nullptr},
        {"zone_c", problem.zoned_c && problem.batch > 0, call.zone_c.data != nullptr},
    };
    for (const auto& option : options)
        if (option.expected != option.given)
            refuse(std::string("the array '") + option.name + "' is " + (option.given ? "given" : "missing") +
                   ", which does not fit the problem");
}

template <class T>
void check_added(const Problem& problem, const RecurrentForward<T>& call) {
    if (problem.normed && call.added.data != nullptr) refuse("the array 'added' does not go with normed");
}

// --- calls -----------------------------------------------------------------------------------------------------------

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
