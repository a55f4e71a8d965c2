// Python's interface to the training step. Addresses are whole numbers; rnnkit/ops/native_step.py has checked dtype,
// device and shape of every array, and owns the tensors.
#include "bindings.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <tuple>

#include "../address.h"
#include "step.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace rnnkit {

namespace {

using Addresses = std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t>;  // of w_ih, w_hh, b_ih, b_hh; 0: none

// Collects the layers and the head of a GradientStep.
template <class T>
class StepMaker {
public:
    void add_layer(Kernel kernel, Variant variant, int64_t input, int64_t hidden, const Addresses& weights,
                   const Addresses& gradients) {
        Layer<T> layer{};
        layer.problem = {.kernel = kernel, .variant = variant, .input = input, .hidden = hidden, .state = hidden};
        layer.weights.w = at_address<const T>(std::get<0>(weights)),
        layer.weights.u = at_address<const T>(std::get<1>(weights));
        layer.weights.bias[0] = at_address<const T>(std::get<2>(weights));
        layer.weights.bias[1] = at_address<const T>(std::get<3>(weights));
        layer.dw = at_address<T>(std::get<0>(gradients)), layer.du = at_address<T>(std::get<1>(gradients));
        layer.db[0] = at_address<T>(std::get<2>(gradients)), layer.db[1] = at_address<T>(std::get<3>(gradients));
        layers_.push_back(layer);
    }
    void set_head(Loss loss, int64_t features, int64_t outputs, uintptr_t weight, uintptr_t bias, uintptr_t dweight,
                  uintptr_t dbias) {
        step_ = std::make_unique<GradientStep<T>>(
            layers_, Head<T>{features, outputs, loss, at_address<const T>(weight), at_address<const T>(bias),
                             at_address<T>(dweight), at_address<T>(dbias)});
        outputs_ = outputs, loss_ = loss;
    }
    // The loss; -1 where a length or a label is out of range, before anything is computed.
    double run(uintptr_t x, int64_t over_batch, int64_t over_time, int64_t batch, int64_t time, uintptr_t lengths,
               uintptr_t targets, uintptr_t output, int threads) {
        const StepBatch<T> given{{at_address<const T>(x), over_batch, over_time},
                                 batch,
                                 time,
                                 at_address<const int64_t>(lengths),
                                 at_address<const void>(targets),
                                 at_address<T>(output),
                                 threads};
        if (!step_) throw nb::value_error("a step without a head");
        nb::gil_scoped_release release;
        return in_range(given) ? step_->run(given) : -1;
    }

private:
    bool in_range(const StepBatch<T>& given) const {
        const auto* const labels = static_cast<const int64_t*>(given.targets);
        for (int64_t b = 0; b < given.batch; ++b) {
            if (given.lengths != nullptr && (given.lengths[b] < 1 || given.lengths[b] > given.time)) return false;
            if (loss_ == Loss::cross_entropy && (labels[b] < 0 || labels[b] >= outputs_)) return false;
        }
        return true;
    }
    std::vector<Layer<T>> layers_;
    std::unique_ptr<GradientStep<T>> step_;
    int64_t outputs_ = 0;
    Loss loss_ = Loss::cross_entropy;
};

// Clipping and the optimizer's step over parameters whose addresses stay.
template <class T>
class Update {
public:
    // `step`: the optimizer's count of steps, a float32 number that is raised by one; 0: it has none.
    void add(uintptr_t value, uintptr_t gradient, uintptr_t first, uintptr_t second, uintptr_t step, int64_t count) {
        parameters_.push_back(
            {at_address<T>(value), at_address<T>(gradient), at_address<T>(first), at_address<T>(second), count});
        steps_.push_back(at_address<float>(step));
    }
    double clip(double limit) const {
        nb::gil_scoped_release release;
        return clip_by_norm(parameters_, limit);
    }
    // The parameters from number `begin` to `end`, a group's.
    void adam(int begin, int end, double rate, double beta1, double beta2, double epsilon, double decay, bool decoupled,
              int threads) const {
        nb::gil_scoped_release release;
        for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
            *steps_[i] += 1;
            rnnkit::adam(AdamSettings{rate, beta1, beta2, epsilon, decay, decoupled, *steps_[i]}, parameters_[i],
                         threads);
        }
    }
    void sgd(int begin, int end, double rate, double momentum, double dampening, double decay, bool nesterov,
             int threads) const {
        nb::gil_scoped_release release;
        for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
            rnnkit::sgd(SgdSettings{rate, momentum, dampening, decay, nesterov}, parameters_[i], threads);
    }

private:
    std::vector<Parameter<T>> parameters_;
    std::vector<float*> steps_;
};

template <class T>
void bind_type(nb::module_& module, const std::string& type) {
    nb::class_<StepMaker<T>>(module, ("GradientStep" + type).c_str())
        .def(nb::init<>())
        .def("add_layer", &StepMaker<T>::add_layer, "kernel"_a, "variant"_a, "input"_a, "hidden"_a, "weights"_a,
             "gradients"_a)
        .def("set_head", &StepMaker<T>::set_head, "loss"_a, "features"_a, "outputs"_a, "weight"_a, "bias"_a,
             "dweight"_a, "dbias"_a)
        .def("run", &StepMaker<T>::run);
    nb::class_<Update<T>>(module, ("Update" + type).c_str())
        .def(nb::init<>())
        .def("add", &Update<T>::add)
        .def("clip", &Update<T>::clip, "limit"_a)
        .def("adam", &Update<T>::adam)
        .def("sgd", &Update<T>::sgd);
}

}  // namespace

void bind_training(nb::module_& module) {
    nb::enum_<Loss>(module, "Loss")
        .value("cross_entropy", Loss::cross_entropy)
        .value("squared_error", Loss::squared_error);
    bind_type<float>(module, "F32");
    bind_type<double>(module, "F64");
}

}  // namespace rnnkit
