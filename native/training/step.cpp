#include "step.h"

#include <algorithm>
#include <cmath>

namespace rnnkit {

namespace {

constexpr size_t alignment = 64;

// Aligned pieces of a block. With a null base it only counts.
class Pieces {
public:
    explicit Pieces(std::byte* base) : base_(base), used_(0) {
        if (base != nullptr) used_ = (alignment - reinterpret_cast<uintptr_t>(base) % alignment) % alignment;
    }
    template <class E>
    E* take(size_t count) {
        return reinterpret_cast<E*>(take_bytes(count * sizeof(E)));
    }
    std::byte* take_bytes(size_t bytes) {
        std::byte* const here = base_ == nullptr ? nullptr : base_ + used_;
        used_ += (bytes + alignment - 1) / alignment * alignment;
        return here;
    }
    size_t bytes() const { return used_ + alignment; }

private:
    std::byte* base_;
    size_t used_;
};

template <class T>
HeadProblem head_problem(const Head<T>& head, const StepBatch<T>& batch) {
    return {batch.batch, head.features, head.outputs, head.loss, batch.threads};
}

}  // namespace

template <class T>
size_t GradientStep<T>::lay_out(const StepBatch<T>& batch, std::byte* base) {
    Pieces pieces(base);
    const auto rows = static_cast<size_t>(batch.batch), steps = rows * static_cast<size_t>(batch.time);
    size_t scratch = head_scratch(head_problem(head_, batch), sizeof(T));
    passes_.clear();
    for (const Layer<T>& layer : layers_) {
        Pass pass{layer.problem, {}, nullptr};
        RecurrentProblem& problem = pass.problem;
        problem.batch = batch.batch, problem.time = batch.time;
        problem.threads = batch.threads, problem.lengths = batch.lengths;
        const auto features = static_cast<size_t>(problem.state);
        const int64_t saved = recurrent_saved_width(problem);
        RecurrentForward<T>& call = pass.call;
        const bool first = passes_.empty();
        call.x = first ? batch.x
                       : Strided<const T>(passes_.back().call.out.data, passes_.back().call.out.batch,
                                          passes_.back().call.out.time);
        call.weights = layer.weights;
        call.out = {pieces.take<T>(steps * features), problem.state * batch.time, problem.state};
        call.hn = pieces.take<T>(rows * features);
        if (problem.kernel == Kernel::lstm) call.cn = pieces.take<T>(rows * static_cast<size_t>(problem.hidden));
        if (saved > 0) call.saved = {pieces.take<T>(steps * static_cast<size_t>(saved)), saved * batch.time, saved};
        if (passes_.size() + 1 < layers_.size()) pass.dout = pieces.take<T>(steps * features);
        scratch = std::max(
            {scratch, recurrent_scratch(problem, sizeof(T), false), recurrent_scratch(problem, sizeof(T), true)});
        passes_.push_back(pass);
    }
    dh_ = pieces.take<T>(rows * static_cast<size_t>(head_.features));
    scratch_ = pieces.take_bytes(scratch);
    for (Pass& pass : passes_) pass.call.scratch = scratch_;
    return pieces.bytes();
}

template <class T>
double GradientStep<T>::run(const StepBatch<T>& batch) {
    std::lock_guard lock(mutex_);
    const size_t needed = lay_out(batch, nullptr);
    if (needed > size_) {
        memory_.reset();
        memory_.reset(new std::byte[needed]);
        size_ = needed;
    }
    lay_out(batch, memory_.get());
    for (const Pass& pass : passes_) {
        recurrent_pack(pass.problem, pass.call.weights, scratch_);
        recurrent_forward(pass.problem, pass.call);
    }
    const HeadProblem problem = head_problem(head_, batch);
    const HeadCall<T> call{passes_.back().call.hn, head_.weight, head_.bias, batch.targets, batch.output, dh_,
                           head_.dweight,          head_.dbias,  scratch_};
    const double loss = head_loss(problem, call);
    if (!std::isfinite(loss)) return loss;
    head_gradients(problem, call);
    for (size_t i = layers_.size(); i-- > 0;) backward(passes_[i], layers_[i], i > 0 ? passes_[i - 1].dout : nullptr);
    return loss;
}

template <class T>
void GradientStep<T>::backward(const Pass& pass, const Layer<T>& layer, T* dx) {
    RecurrentBackward<T> call{};
    static_cast<RecurrentInputs<T>&>(call) = pass.call;
    const Strided<T>&out = pass.call.out, &saved = pass.call.saved;
    call.out = {out.data, out.batch, out.time};
    call.saved = {saved.data, saved.batch, saved.time};
    if (pass.dout == nullptr)
        call.dhn = dh_;
    else
        call.dout = {pass.dout, out.batch, out.time};
    const int64_t features = pass.problem.input;
    if (dx != nullptr) call.dx = {dx, features * pass.problem.time, features};
    call.dw = layer.dw, call.du = layer.du, call.db[0] = layer.db[0], call.db[1] = layer.db[1];
    call.scratch = scratch_;
    recurrent_backward(pass.problem, call);
}

template <class T>
double clip_by_norm(const std::vector<Parameter<T>>& parameters, double limit) {
    double squares = 0;
    for (const Parameter<T>& parameter : parameters) squares += sum_of_squares(parameter.gradient, parameter.count);
    const double norm = std::sqrt(squares), factor = limit / (norm + 1e-6);
    if (!(factor >= 1))  // with a norm that is NaN all gradients become NaN, as PyTorch's do
        for (const Parameter<T>& parameter : parameters) scale(parameter.gradient, parameter.count, factor);
    return norm;
}

template class GradientStep<float>;
template class GradientStep<double>;
template double clip_by_norm(const std::vector<Parameter<float>>&, double);
template double clip_by_norm(const std::vector<Parameter<double>>&, double);

}  // namespace rnnkit
