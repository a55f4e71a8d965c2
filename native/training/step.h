// A training step of recurrent layers under a linear head, as few calls: the loss with all gradients, and the update.
//
// The parameters, their gradients and the optimizer's state belong to the caller, who keeps them where they are. What
// is computed on the way lies in memory of the object's own, which grows with the largest batch.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "../kernels/head/head.h"
#include "../kernels/recurrent.h"
#include "../kernels/update/update.h"

namespace rnnkit {

// The parameters of one layer in one direction, and where their gradients go.
template <class T>
struct Layer {
    RecurrentProblem problem;  // kernel, variant and sizes of the weights; the rest comes with each batch
    RecurrentWeights<T> weights;
    T *dw, *du, *db[2];
};

template <class T>
struct Head {
    int64_t features, outputs;
    Loss loss;
    const T *weight, *bias;
    T *dweight, *dbias;
};

template <class T>
struct StepBatch {
    Strided<const T> x;  // [B, T, I]
    int64_t batch, time;
    const int64_t* lengths;  // [B], 1 <= length <= T, or null
    const void* targets;     // see head.h
    T* output;               // [B, C]
    int threads;
};

// Forward through the layers, each on the outputs of the one before, and through the head on the last state of the top
// layer; then backward. Calls from several threads run one after the other.
template <class T>
class GradientStep {
public:
    GradientStep(std::vector<Layer<T>> layers, const Head<T>& head) : layers_(std::move(layers)), head_(head) {}

    // Returns the loss. Where it is not finite, no gradient is written.
    double run(const StepBatch<T>&);

private:
    // What a layer's forward call leaves for its backward call.
    struct Pass {
        RecurrentProblem problem;
        RecurrentForward<T> call;
        T* dout;  // [B, T, S], the gradient of the outputs; null in the top layer
    };
    // Lays out the memory of a batch; with a null base it only counts. Returns the bytes.
    size_t lay_out(const StepBatch<T>&, std::byte* base);
    void backward(const Pass&, const Layer<T>&, T* dx);

    std::vector<Layer<T>> layers_;
    Head<T> head_;
    std::vector<Pass> passes_;
    T* dh_ = nullptr;  // [B, S], the gradient of the top layer's last state
    void* scratch_ = nullptr;
    std::unique_ptr<std::byte[]> memory_;
    size_t size_ = 0;
    std::mutex mutex_;
};

// Scales all gradients by min(1, c / (‖g‖ + 10⁻⁶)), with the norm over all of them together, which is returned.
template <class T>
double clip_by_norm(const std::vector<Parameter<T>>& parameters, double limit);

}  // namespace rnnkit
