// Python's interface to losses over alignments. Addresses are whole numbers; rnnkit/ops/transducer.py has checked
// dtype, device and shape of every array, and owns the tensors.
#include "loss_bindings.h"

#include <vector>

#include "../address.h"
#include "../kernels/transducer/transducer.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace rnnkit {

namespace {

// A TransducerProblem that was checked.
class Transducer {
public:
    Transducer(int64_t batch, int64_t frames, int64_t labels, int64_t vocabulary, int64_t blank,
               uintptr_t frame_lengths, uintptr_t label_lengths, uintptr_t targets)
        : problem_{.batch = batch,
                   .frames = frames,
                   .labels = labels,
                   .vocabulary = vocabulary,
                   .blank = blank,
                   .threads = 1,
                   .frame_lengths = at_address<const int64_t>(frame_lengths),
                   .label_lengths = at_address<const int64_t>(label_lengths),
                   .targets = at_address<const int64_t>(targets)} {
        if (!in_range()) throw nb::value_error("a size, a length or a label is out of range");
    }
    void forward(uintptr_t logits, uintptr_t losses, int threads) const {
        nb::gil_scoped_release release;
        const TransducerProblem problem = with(threads);
        std::vector<unsigned char> scratch(transducer_scratch(problem, false));
        transducer_forward(problem, at_address<const float>(logits), at_address<float>(losses), scratch.data());
    }
    void backward(uintptr_t logits, uintptr_t dlosses, uintptr_t dlogits, int threads) const {
        nb::gil_scoped_release release;
        const TransducerProblem problem = with(threads);
        std::vector<unsigned char> scratch(transducer_scratch(problem, true));
        transducer_backward(problem, at_address<const float>(logits), at_address<const float>(dlosses),
                            at_address<float>(dlogits), scratch.data());
    }

private:
    TransducerProblem with(int threads) const {
        TransducerProblem problem = problem_;
        problem.threads = threads;
        return problem;
    }
    bool in_range() const {
        const TransducerProblem& p = problem_;
        if (p.batch < 1 || p.frames < 1 || p.labels < 0 || p.blank < 0 || p.blank >= p.vocabulary) return false;
        for (int64_t b = 0; b < p.batch; ++b) {
            const int64_t labels = p.label_lengths[b];
            if (p.frame_lengths[b] < 1 || p.frame_lengths[b] > p.frames || labels < 0 || labels > p.labels)
                return false;
            for (const int64_t* y = p.targets + b * p.labels; y < p.targets + b * p.labels + labels; ++y)
                if (*y < 0 || *y >= p.vocabulary || *y == p.blank) return false;
        }
        return true;
    }
    TransducerProblem problem_;
};

}  // namespace

void bind_losses(nb::module_& module) {
    nb::class_<Transducer>(module, "TransducerF32")
        .def(nb::init<int64_t, int64_t, int64_t, int64_t, int64_t, uintptr_t, uintptr_t, uintptr_t>(), "batch"_a,
             "frames"_a, "labels"_a, "vocabulary"_a, "blank"_a, "frame_lengths"_a, "label_lengths"_a, "targets"_a)
        .def("forward", &Transducer::forward, "logits"_a, "losses"_a, "threads"_a)
        .def("backward", &Transducer::backward, "logits"_a, "dlosses"_a, "dlogits"_a, "threads"_a);
}

}  // namespace rnnkit
