// One step of an optimizer over one parameter, and the norm of its gradient.
//
// θ the parameter, g its gradient, η the learning rate, λ the weight decay. With `decoupled` θ ← (1 − η λ) θ comes
// first, else g ← g + λ θ.
//
//     Adam, AdamW     m ← m + (1 − β₁)(g − m)        v ← β₂ v + (1 − β₂) g²
//                     θ ← θ − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
//     SGD             m ← μ m + (1 − d) g (g in the first step); with Nesterov g ← g + μ m, else g ← m
//                     θ ← θ − η g
//
// Kingma & Ba 2015, Loshchilov & Hutter 2019, and PyTorch's form of momentum.
#pragma once

#include <stdint.h>

namespace rnnkit {

struct AdamSettings {
    double rate, beta1, beta2, epsilon, decay;
    bool decoupled;
    double step;  // t, from 1
};

struct SgdSettings {
    double rate, momentum, dampening, decay;
    bool nesterov;
};

template <class T>
struct Parameter {
    T* value;
    T* gradient;
    T *first, *second;  // m and v; null where the optimizer has none
    int64_t count;
};

void adam(const AdamSettings&, const Parameter<float>&, int threads);
void adam(const AdamSettings&, const Parameter<double>&, int threads);
void sgd(const SgdSettings&, const Parameter<float>&, int threads);
void sgd(const SgdSettings&, const Parameter<double>&, int threads);
// Σ g², and g ← factor · g.
double sum_of_squares(const float*, int64_t count);
double sum_of_squares(const double*, int64_t count);
void scale(float*, int64_t count, double factor);
void scale(double*, int64_t count, double factor);

#define RNNKIT_DECLARE_UPDATE(family)                              \
    namespace family {                                             \
    void adam(const AdamSettings&, const Parameter<float>&, int);  \
    void adam(const AdamSettings&, const Parameter<double>&, int); \
    void sgd(const SgdSettings&, const Parameter<float>&, int);    \
    void sgd(const SgdSettings&, const Parameter<double>&, int);   \
    double sum_of_squares(const float*, int64_t);                  \
    double sum_of_squares(const double*, int64_t);                 \
    void scale(float*, int64_t, double);                           \
    void scale(double*, int64_t, double);                          \
    }
RNNKIT_DECLARE_UPDATE(generic)
RNNKIT_DECLARE_UPDATE(avx2)
RNNKIT_DECLARE_UPDATE(avx512)

}  // namespace rnnkit
