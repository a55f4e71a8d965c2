// Python's door to the core: check, release the GIL, call. Arrays arrive as addresses and strides, in the order in
// which rnnkit/ops/native_call.py lists them; their dtype, device and shape have been checked there, where the tensors
// are owned.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <vector>

#include "common/cpu.h"
#include "common/parallel.h"
#include "kernels/bernoulli/bernoulli.h"
#include "kernels/gru/gru.h"
#include "kernels/lstm/lstm.h"
#include "kernels/simple_rnn/simple_rnn.h"

namespace nb = nanobind;
using namespace rnnkit;

namespace {

using Numbers = std::vector<int64_t>;

enum Kernel : int { simple_rnn = 0, lstm = 1, gru = 2 };

#define RNNKIT_KERNEL(kernel, what, ...)           \
    switch (kernel) {                              \
        case simple_rnn:                           \
            return simple_rnn_##what(__VA_ARGS__); \
        case lstm:                                 \
            return lstm_##what(__VA_ARGS__);       \
        case gru:                                  \
            return gru_##what(__VA_ARGS__);        \
    }                                              \
    throw nb::value_error("kernel must be 0, 1 or 2")

size_t scratch(int kernel, const RecurrentSizes& sizes, size_t element, bool backward) {
    RNNKIT_KERNEL(kernel, scratch, sizes, element, backward);
}
int64_t saved(int kernel, const RecurrentSizes& sizes) { RNNKIT_KERNEL(kernel, saved, sizes); }
template <class T>
void pack(int kernel, const RecurrentSizes& sizes, const RecurrentWeights<T>& weights, void* memory) {
    RNNKIT_KERNEL(kernel, pack, sizes, weights, memory);
}
template <class T>
void run(int kernel, const RecurrentSizes& sizes, const RecurrentForward<T>& call) {
    RNNKIT_KERNEL(kernel, run, sizes, call);
}
template <class T>
void run_back(int kernel, const RecurrentSizes& sizes, const RecurrentBackward<T>& call) {
    RNNKIT_KERNEL(kernel, backward, sizes, call);
}

// Takes addresses and strides one after the other.
class Reader {
public:
    explicit Reader(const Numbers& numbers, size_t expected) : numbers_(numbers) {
        if (numbers.size() != expected) throw nb::value_error("the list of arrays has another length");
    }
    template <class T>
    T* pointer() {
        return reinterpret_cast<T*>(static_cast<uintptr_t>(numbers_[next_++]));
    }
    template <class T>
    Strided<T> strided() {
        T* const data = pointer<T>();
        const int64_t batch = numbers_[next_++];
        return {data, batch, numbers_[next_++]};
    }
    template <class T>
    RecurrentWeights<T> weights() {
        RecurrentWeights<T> w;
        w.w = pointer<const T>(), w.u = pointer<const T>();
        w.bias[0] = pointer<const T>(), w.bias[1] = pointer<const T>();
        w.projection = pointer<const T>(), w.peephole = pointer<const T>();
        w.gain_x = pointer<const T>(), w.gain_h = pointer<const T>(), w.gain_c = pointer<const T>(),
        w.shift_c = pointer<const T>();
        return w;
    }

private:
    const Numbers& numbers_;
    size_t next_ = 0;
};

template <class T>
RecurrentForward<T> read_forward(const Numbers& numbers) {
    Reader in(numbers, 33);
    RecurrentForward<T> call;
    call.x = in.strided<const T>(), call.weights = in.weights<T>();
    call.h0 = in.pointer<const T>(), call.c0 = in.pointer<const T>();
    call.reset_h = in.pointer<const T>(), call.reset_c = in.pointer<const T>(), call.mask = in.pointer<const T>();
    call.zone_h = in.strided<const T>(), call.zone_c = in.strided<const T>();
    call.out = in.strided<T>(), call.hn = in.pointer<T>(), call.cn = in.pointer<T>();
    call.saved = in.strided<T>(), call.scratch = in.pointer<void>();
    return call;
}

template <class T>
RecurrentBackward<T> read_backward(const Numbers& numbers) {
    Reader in(numbers, 56);
    RecurrentBackward<T> call;
    call.x = in.strided<const T>(), call.weights = in.weights<T>();
    call.h0 = in.pointer<const T>(), call.c0 = in.pointer<const T>();
    call.reset_h = in.pointer<const T>(), call.reset_c = in.pointer<const T>(), call.mask = in.pointer<const T>();
    call.zone_h = in.strided<const T>(), call.zone_c = in.strided<const T>();
    call.out = in.strided<const T>(), call.saved = in.strided<const T>();
    call.dout = in.strided<const T>(), call.dcells = in.strided<const T>();
    call.dhn = in.pointer<const T>(), call.dcn = in.pointer<const T>();
    call.dx = in.strided<T>();
    call.dw = in.pointer<T>(), call.du = in.pointer<T>();
    call.db[0] = in.pointer<T>(), call.db[1] = in.pointer<T>();
    call.dprojection = in.pointer<T>(), call.dpeephole = in.pointer<T>();
    call.dgain_x = in.pointer<T>(), call.dgain_h = in.pointer<T>(), call.dgain_c = in.pointer<T>(),
    call.dshift_c = in.pointer<T>();
    call.dh0 = in.pointer<T>(), call.dc0 = in.pointer<T>();
    call.dreset_h = in.pointer<T>(), call.dreset_c = in.pointer<T>();
    call.scratch = in.pointer<void>();
    return call;
}

template <class T>
void forward(int kernel, const RecurrentSizes& sizes, const Numbers& numbers) {
    const RecurrentForward<T> call = read_forward<T>(numbers);
    nb::gil_scoped_release release;
    pack(kernel, sizes, call.weights, call.scratch);
    run(kernel, sizes, call);
}

template <class T>
void backward(int kernel, const RecurrentSizes& sizes, const Numbers& numbers) {
    const RecurrentBackward<T> call = read_backward<T>(numbers);
    nb::gil_scoped_release release;
    run_back(kernel, sizes, call);
}

// The last check before memory is touched: an index out of range here would read somebody else's memory.
RecurrentSizes sizes_of(int64_t batch, int64_t time, int64_t input, int64_t hidden, int64_t state, int kind,
                        bool reverse, int options, int threads, uintptr_t lengths, uintptr_t resets,
                        int64_t resets_batch, int64_t resets_time) {
    if (batch < 0 || time < 1 || input < 0 || hidden < 1 || state < 1 || state > hidden || kind < 0 || kind > 2)
        throw nb::value_error("sizes are out of range");
    const int64_t* rows = reinterpret_cast<const int64_t*>(lengths);
    for (int64_t b = 0; rows != nullptr && b < batch; ++b)
        if (rows[b] < 0 || rows[b] > time) throw nb::value_error("a length lies outside 0 ... T");
    RecurrentSizes s;
    s.batch = batch, s.time = time, s.input = input, s.hidden = hidden, s.state = state, s.kind = kind;
    s.reverse = reverse, s.threads = threads, s.lengths = rows;
    s.masked = options & 1, s.zoned_h = options & 2, s.zoned_c = options & 4, s.peepholes = options & 8;
    s.normed = options & 16;
    s.resets = {reinterpret_cast<const uint8_t*>(resets), resets_batch, resets_time};
    return s;
}

// Stacked layers that take one step at a time on buffers which the caller owns, with weights packed once.
template <class T>
class Stream {
public:
    void add(int kernel, const RecurrentSizes& sizes, const Numbers& numbers) {
        const RecurrentForward<T> call = read_forward<T>(numbers);
        if (sizes.time != 1 || sizes.lengths != nullptr || sizes.resets.data != nullptr)
            throw nb::value_error("a stream's layers take one step, without lengths and resets");
        pack(kernel, sizes, call.weights, call.scratch);
        layers_.push_back({kernel, sizes, call});
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
        int kernel;
        RecurrentSizes sizes;
        RecurrentForward<T> call;
    };
    void take_step(uintptr_t x) {
        std::lock_guard lock(mutex_);
        const T* input = reinterpret_cast<const T*>(x);
        for (Layer& layer : layers_) {
            layer.call.x = {input, layer.sizes.input, 0};
            run(layer.kernel, layer.sizes, layer.call);
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
void bind(nb::module_& module, const char* stream) {
    nb::class_<Stream<T>>(module, stream)
        .def(nb::init<>())
        .def("add", &Stream<T>::add)
        .def("step", &Stream<T>::step)
        .def("seconds_per_step", &Stream<T>::seconds_per_step);
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

    nb::class_<RecurrentSizes>(module, "RecurrentSizes")
        .def("__init__",
             [](RecurrentSizes* self, int64_t batch, int64_t time, int64_t input, int64_t hidden, int64_t state,
                int kind, bool reverse, int options, int threads, uintptr_t lengths, uintptr_t resets,
                int64_t resets_batch, int64_t resets_time) {
                 new (self) RecurrentSizes(sizes_of(batch, time, input, hidden, state, kind, reverse, options, threads,
                                                    lengths, resets, resets_batch, resets_time));
             })
        .def("scratch", [](const RecurrentSizes& self, int kernel, size_t element,
                           bool backward) { return scratch(kernel, self, element, backward); })
        .def("saved", [](const RecurrentSizes& self, int kernel) { return saved(kernel, self); });

    module.def("forward_f32", &forward<float>);
    module.def("forward_f64", &forward<double>);
    module.def("backward_f32", &backward<float>);
    module.def("backward_f64", &backward<double>);
    module.def("bernoulli_f32", &draw<float>);
    module.def("bernoulli_f64", &draw<double>);
    bind<float>(module, "StreamF32");
    bind<double>(module, "StreamF64");
}
