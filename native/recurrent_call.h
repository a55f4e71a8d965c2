// A call from Python, and the last checks before memory is touched.
//
// A call is a RecurrentProblem, whose fields are keyword arguments, and a dict of its arrays by name: an address, or
// for sequences (address, stride over the batch, stride over time). An array that is not in the dict is not given.
// rnnkit/ops/native_call.py has checked dtype, device and shape of every array; it owns the tensors.
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <vector>

#include "array_reader.h"
#include "kernels/recurrent.h"

namespace rnnkit {

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

inline Int8Call read_int8(nb::dict arrays) {
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

inline bool has_variant(Kernel kernel, Variant variant) {
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

inline void check_problem(const Problem& problem) {
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

}  // namespace rnnkit
