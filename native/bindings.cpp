// Python's door to the core: check, release the GIL, call. Arrays arrive as addresses and strides; their dtype, device
// and shape have been checked by rnnkit/ops, which owns the tensors.
#include <nanobind/nanobind.h>

#include "common/cpu.h"
#include "common/parallel.h"
#include "kernels/simple_rnn/simple_rnn.h"

namespace nb = nanobind;
using namespace rnnkit;

namespace {

using Address = uintptr_t;

template <class T>
T* pointer(Address address) {
    return reinterpret_cast<T*>(address);
}

template <class T>
Strided<T> strided(Address address, int64_t batch, int64_t time) {
    return {pointer<T>(address), batch, time};
}

// The last check before memory is touched: an index out of range here would read somebody else's memory.
SimpleRnnSizes sizes_of(int64_t batch, int64_t time, int64_t input, int64_t hidden, int nonlinearity, bool reverse,
                        int threads, Address lengths, Address resets, int64_t resets_batch, int64_t resets_time) {
    if (batch < 0 || time < 1 || input < 0 || hidden < 1) throw nb::value_error("sizes are out of range");
    if (nonlinearity < 0 || nonlinearity > 2) throw nb::value_error("nonlinearity must be 0, 1 or 2");
    const int64_t* rows = pointer<const int64_t>(lengths);
    for (int64_t b = 0; rows != nullptr && b < batch; ++b)
        if (rows[b] < 0 || rows[b] > time) throw nb::value_error("a length lies outside 0 ... T");
    return {batch,   time, input, hidden, static_cast<Nonlinearity>(nonlinearity), reverse, threads, rows,
            strided<const uint8_t>(resets, resets_batch, resets_time)};
}

template <class T>
void forward(const SimpleRnnSizes& sizes, Address x, int64_t x_batch, int64_t x_time, Address w, Address u,
             Address b_ih, Address b_hh, Address h0, Address out, int64_t out_batch, int64_t out_time, Address hn,
             Address scratch) {
    simple_rnn_forward(sizes, SimpleRnnForward<T>{strided<const T>(x, x_batch, x_time),
                                                  pointer<const T>(w),
                                                  pointer<const T>(u),
                                                  {pointer<const T>(b_ih), pointer<const T>(b_hh)},
                                                  pointer<const T>(h0),
                                                  strided<T>(out, out_batch, out_time),
                                                  pointer<T>(hn),
                                                  pointer<void>(scratch)});
}

template <class T>
void backward(const SimpleRnnSizes& sizes, Address x, int64_t x_batch, int64_t x_time, Address u, Address h0,
              Address out, int64_t out_batch, int64_t out_time, Address dout, int64_t dout_batch, int64_t dout_time,
              Address dhn, Address dpre, int64_t dpre_batch, int64_t dpre_time, Address dw, Address du, Address db,
              Address dh0, Address scratch) {
    simple_rnn_backward(sizes, SimpleRnnBackward<T>{strided<const T>(x, x_batch, x_time),
                                                    pointer<const T>(u),
                                                    pointer<const T>(h0),
                                                    strided<const T>(out, out_batch, out_time),
                                                    strided<const T>(dout, dout_batch, dout_time),
                                                    pointer<const T>(dhn),
                                                    strided<T>(dpre, dpre_batch, dpre_time),
                                                    pointer<T>(dw),
                                                    pointer<T>(du),
                                                    pointer<T>(db),
                                                    pointer<T>(dh0),
                                                    pointer<void>(scratch)});
}

nb::dict cpu_info() {
    nb::list available;
    for (Cpu cpu : {Cpu::avx512, Cpu::avx2, Cpu::generic})
        if (cpu_available(cpu)) available.append(cpu_name(cpu));
    nb::dict info;
    info["chosen"] = cpu_name(chosen_cpu());
    info["available"] = available;
    info["problem"] = cpu_problem();
    info["threads"] = thread_runtime();
    return info;
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "rnnkit's native core. Private: use rnnkit.ops.";
    module.def("cpu_info", &cpu_info);

    nb::class_<SimpleRnnSizes>(module, "SimpleRnnSizes")
        .def("__init__",
             [](SimpleRnnSizes* self, int64_t batch, int64_t time, int64_t input, int64_t hidden, int nonlinearity,
                bool reverse, int threads, Address lengths, Address resets, int64_t resets_batch,
                int64_t resets_time) {
                 new (self) SimpleRnnSizes(sizes_of(batch, time, input, hidden, nonlinearity, reverse, threads, lengths,
                                                    resets, resets_batch, resets_time));
             })
        .def("scratch", [](const SimpleRnnSizes& self, size_t element) { return simple_rnn_scratch(self, element); });

    const auto free_gil = nb::call_guard<nb::gil_scoped_release>();
    module.def("simple_rnn_forward_f32", &forward<float>, free_gil);
    module.def("simple_rnn_forward_f64", &forward<double>, free_gil);
    module.def("simple_rnn_backward_f32", &backward<float>, free_gil);
    module.def("simple_rnn_backward_f64", &backward<double>, free_gil);
}
