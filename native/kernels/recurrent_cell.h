// What a cell is: one recurrence's arithmetic of one step, for some rows and some hidden units. It knows nothing of
// time, lengths and threads; the forward and the backward pass do.
#pragma once

#include "recurrent_sums.h"

namespace rnnkit::RNNKIT_FAMILY {

// The rows of one thread that run at a step of the forward pass. Element r of each array belongs to position `position`
// + r.
template <class T>
struct ForwardRows {
    int64_t count, position;
    int64_t *batch, *time;
    const T **x, **h, **c;  // the input, and the state before the step
    const T** recurrent;    // what U multiplies: h, or its masked copy
    T **out, **saved;
    Products products;  // that the step computes

    void allocate(Arena& arena, int64_t n) {
        batch = arena.allocate<int64_t>(n), time = arena.allocate<int64_t>(n);
        const T*** const read[] = {&x, &h, &c, &recurrent};
        for (const T*** pointers : read) *pointers = arena.allocate<const T*>(n);
        out = arena.allocate<T*>(n), saved = arena.allocate<T*>(n);
    }
    // The rows from position p on; none of them runs yet.
    ForwardRows from(int64_t p) const {
        return {0, p, batch + p, time + p, x + p, h + p, c + p, recurrent + p, out + p, saved + p, Products::together};
    }
};

// The same for the backward pass. Element r of each array belongs to position `position` + r.
template <class T>
struct BackwardRows {
    int64_t count, position;
    int64_t *batch, *time;
    const T **h, **c;                          // the state before the step
    const T **out, **saved, **dout, **dcells;  // dout and dcells null where there are none
    T **carry_h, **carry_c;                    // the gradient that reaches the state from later steps
    T** gate_grads;

    void allocate(Arena& arena, int64_t n) {
        batch = arena.allocate<int64_t>(n), time = arena.allocate<int64_t>(n);
        const T*** const read[] = {&h, &c, &out, &saved, &dout, &dcells};
        for (const T*** pointers : read) *pointers = arena.allocate<const T*>(n);
        T*** const written[] = {&carry_h, &carry_c, &gate_grads};
        for (T*** pointers : written) *pointers = arena.allocate<T*>(n);
    }
    // The rows from position p on; none of them runs yet.
    BackwardRows from(int64_t p) const {
        return {0,         p,        batch + p,  time + p,    h + p,       c + p,         out + p,
                saved + p, dout + p, dcells + p, carry_h + p, carry_c + p, gate_grads + p};
    }
};

template <class A, class B>
constexpr bool same_type = false;
template <class A>
constexpr bool same_type<A, A> = true;
// What an expression of a concept has to return. (Our own: nothing of `std` may be shared between CPU families.)
template <class A, class B>
concept Same = same_type<A, B>;

// A cell's members, for a class C with the type of the numbers as C::Element.
template <class C, class T = typename C::Element>
concept Cell =
    // Sizes and layout.
    requires(const RecurrentProblem& problem) {
        // The number of gates: G.
        { C::gates } -> Same<const int64_t&>;
        // Whether a unit's step reads nothing of the other units but h before the step; see split_for().
        { C::units_independent(problem) } -> Same<bool>;
        // Elements of a saved row. It is also the work row that the forward products are written to.
        { C::saved_width(problem) } -> Same<int64_t>;
        // Where c lies in a saved row, or -1.
        { C::c_offset(problem) } -> Same<int64_t>;
        // Elements of a gate_grads row, which begins with the gradients before the nonlinearities.
        { C::gate_grads_width(problem) } -> Same<int64_t>;
        // So many elements of it, from the first one on, are summed over the steps for `write_biases`.
        { C::bias_width(problem) } -> Same<int64_t>;
        // Where a gate_grads row keeps what U was multiplied by, or -1: it was h.
        { C::recurrent_offset(problem) } -> Same<int64_t>;
        // Where the left sides of dx and of dh begin in a gate_grads row.
        { C::dx_offset(problem) } -> Same<int64_t>;
        { C::dh_offset(problem) } -> Same<int64_t>;
        // Elements of the left side of dh: so many rows of U, from the first one on. (That of dx has G·H.)
        { C::dh_depth(problem) } -> Same<int64_t>;
        // Whether the backward step leaves a part of dh in carry_h, which the product is added to.
        { C::adds_to_carry(problem) } -> Same<bool>;
        // Whether both biases have the same gradient.
        { C::same_bias_grads } -> Same<const bool&>;
    } &&
    // Products and sums.
    requires(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, Units units, WeightBlock* blocks,
             const Panels<T>& panels, int64_t panel, T* packed, const WeightGrads<T>& grads, bool transposed,
             WeightSum<T>* sums, const T* total, T* const* db) {
        // Lists the blocks of the forward products for these units; returns their number.
        { C::weight_blocks(problem, units, blocks) } -> Same<int>;
        // Packs a panel of W for dx, its rows in the order of the gate_grads.
        { C::pack_w(problem, weights, panels, panel, packed) } -> Same<void>;
        // Lists the sums for the weights of these units; returns their number. `transposed`: dW is summed as [I, G·H].
        { C::weight_sums(problem, grads, units, transposed, sums) } -> Same<int>;
        // Writes the gradients of the biases from the sum of the gate_grads.
        { C::write_biases(problem, total, db) } -> Same<void>;
    } &&
    // The steps.
    requires(C cell, const C& ready, Arena& arena, const RecurrentProblem& problem, const RecurrentWeights<T>& weights,
             T* bias, const RecurrentForward<T>& forward, const ForwardRows<T>& rows, const ThreadWeights<T>& own,
             const T* work_bias, const RecurrentBackward<T>& backward, const BackwardRows<T>& back_rows, Units units,
             const WeightGrads<T>& grads) {
        // Takes scratch of its own from the arena.
        { cell.allocate(arena, problem) } -> Same<void>;
        // Once per packing: packs weights of its own, and adds the biases to `bias`, laid out as a work row.
        { ready.prepare_forward(problem, weights, bias) } -> Same<void>;
        // From x, h and c to saved rows and out, for the hidden units of `own`.
        { ready.forward_step(problem, forward, rows, own, work_bias) } -> Same<void>;
        // Once per backward call: packs weights of its own.
        { ready.prepare_backward(problem, weights) } -> Same<void>;
        // From dout, carries and saved rows to gate_grads and carries.
        { ready.backward_step(problem, backward, back_rows, units, grads) } -> Same<void>;
    };

}  // namespace rnnkit::RNNKIT_FAMILY
