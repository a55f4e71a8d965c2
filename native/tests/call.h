// A forward and a backward call of a kernel on a problem's numbers, compared with the truth.
#pragma once

#include <functional>

#include "arrays.h"

constexpr unsigned all_fields = (1u << fields) - 1;

// Of the whole call; lengths and resets are to be set.
rnnkit::RecurrentProblem recurrent_problem(const Case& c);

template <class T>
class Call {
public:
    explicit Call(const Problem& problem);

    void forward(bool save);  // without `save` nothing is saved, as for inference
    // The same by another function, from what a call gives to its results; `saved` is null.
    void forward_by(const std::function<void(const rnnkit::RecurrentProblem&, rnnkit::RecurrentForward<T>&)>& function);
    void backward(unsigned wanted);  // after forward(true), for the gradients in `wanted` (bits of Field)

    // What differs from the truth, or nothing.
    // `bound`: errors that are allowed, in those of the kernels.
    std::string check_forward(const Expected& truth, double bound = 1) const;
    std::string check_backward(const Expected& truth, unsigned wanted) const;

    // Bits of the results: of the forward call, or of the gradients in `wanted`.
    std::string forward_bits() const;
    std::string backward_bits(unsigned wanted) const;

    rnnkit::RecurrentProblem recurrent() const;
    rnnkit::RecurrentWeights<T> weights() const;
    const T* even_zone_h() const { return zone_h_.get(); }
    const T* even_zone_c() const { return zone_c_.get(); }

private:
    rnnkit::RecurrentForward<T> forward_call(bool save);
    bool given(int f) const { return !p_.given[static_cast<size_t>(f)].empty(); }
    bool wants(unsigned wanted, int f) const { return given(f) && (wanted >> f & 1) != 0; }
    const T* pointer(Field f) const { return in_[f].get(); }
    rnnkit::Strided<const T> zone(const Array<T>& even, const Sequence<T>& whole) const;

    const Problem& p_;
    const Case& c_;
    int64_t saved_width_;
    Array<T> in_[fields], grads_[fields];  // all but x
    Sequence<T> x_, zones_h_, zones_c_, dout_, dcells_, out_, saved_, dx_;
    Array<T> mask_, zone_h_, zone_c_, dhn_, dcn_, hn_, cn_;
};
