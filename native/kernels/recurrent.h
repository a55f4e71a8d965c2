// What the recurrent kernels share of their contract: one layer in one direction over whole sequences.
//
// Legend: B batch, T time, I input, H hidden, S length of h (P of an LSTM with a projection, else H), G gates (1 in the
// simple layer, 3 in the GRU, 4 in the LSTM). Every array belongs to the caller and is only used during the call.
// Features are adjacent in memory; strides over batch and time are given in elements, so both layouts are served.
// No output may overlap an input or another output, but hn and cn may be h0 and c0 where T is 1. A pointer to an option
// that is not wanted is null.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace rnnkit {

// A [B, T, features] array, or null where `data` is null. Strides may be 0.
template <class T>
struct Strided {
    T* data;
    int64_t batch, time;
};

// What a call computes: the sizes of its scratch and of its saved rows follow from this alone.
struct RecurrentSizes {
    int64_t batch, time, input, hidden;
    int64_t state;                                     // S
    int kind;                                          // the kernel's own variants, see its header
    bool reverse;                                      // from each row's last valid step to its first
    bool masked, zoned_h, zoned_c, peepholes, normed;  // which options are given
    int threads;                                       // an upper bound; small calls use fewer
    const int64_t* lengths;                            // [B], 0 <= length <= T, or null: all T
    Strided<const uint8_t> resets;                     // [B, T]: non-zero puts the row back before that step; or null
};

// The weights. The gains are there with `normed`, those of c in the LSTM alone.
template <class T>
struct RecurrentWeights {
    const T* w;                 // [G·H, I]
    const T* u;                 // [G·H, S]
    const T* bias[2];           // [G·H] each: of W x and of U h
    const T* projection;        // [S, H]
    const T* peephole;          // [3, H]
    const T *gain_x, *gain_h;   // [G·H] each
    const T *gain_c, *shift_c;  // [H] each
};

template <class T>
struct RecurrentForward {
    Strided<const T> x;  // [B, T, I]
    RecurrentWeights<T> weights;
    const T *h0, *c0;                 // [B, S], [B, H]: the state before the first step; null: zeros
    const T *reset_h, *reset_c;       // likewise: what resets put rows back to
    const T* mask;                    // [B, S]: U multiplies mask ⊙ h
    Strided<const T> zone_h, zone_c;  // [B, T, S], [B, T, H]: the share of the old state that is kept
    Strided<T> out;                   // [B, T, S], zeros behind a row's length
    T* hn;                            // [B, S], the state after the last valid step
    T* cn;                            // [B, H]
    Strided<T> saved;  // [B, T, saved elements] for the backward call, unset behind a row's length; or null
    void* scratch;     // any content
};

// Gradients: those not wanted are null. `db` are the gradients of the two biases: the same numbers twice where a kernel
// adds both before anything else.
template <class T>
struct RecurrentBackward {
    Strided<const T> x;  // null where dw is null
    RecurrentWeights<T> weights;
    const T *h0, *c0, *reset_h, *reset_c, *mask;
    Strided<const T> zone_h, zone_c;
    Strided<const T> out, saved;  // the forward call's results
    Strided<const T> dout;        // null: zeros
    Strided<const T> dcells;      // [B, T, H] gradient of every c; null: zeros
    const T *dhn, *dcn;           // null: zeros
    Strided<T> dx;                // zeros behind a row's length
    T *dw, *du, *db[2], *dprojection, *dpeephole, *dgain_x, *dgain_h, *dgain_c, *dshift_c;
    T *dh0, *dc0, *dreset_h, *dreset_c;
    void* scratch;
};

// What every kernel defines under its own name:
//   NAME_scratch    bytes of scratch that a forward or a backward call needs, with slack for alignment
//   NAME_saved      elements of a saved row
//   NAME_pack       packs the weights into a forward call's scratch
//   NAME_run        the forward call on weights packed there; any number of times
//   NAME_backward
#define RNNKIT_DECLARE_RECURRENT(name)                                                       \
    size_t name##_scratch(const RecurrentSizes&, size_t element, bool backward);             \
    int64_t name##_saved(const RecurrentSizes&);                                             \
    void name##_pack(const RecurrentSizes&, const RecurrentWeights<float>&, void* scratch);  \
    void name##_pack(const RecurrentSizes&, const RecurrentWeights<double>&, void* scratch); \
    void name##_run(const RecurrentSizes&, const RecurrentForward<float>&);                  \
    void name##_run(const RecurrentSizes&, const RecurrentForward<double>&);                 \
    void name##_backward(const RecurrentSizes&, const RecurrentBackward<float>&);            \
    void name##_backward(const RecurrentSizes&, const RecurrentBackward<double>&);

}  // namespace rnnkit
