// The contract of the recurrent kernels: one layer in one direction over whole sequences.
//
// Legend: B batch, T time, I input, H hidden, S length of h (P of an LSTM with a projection, else H), G gates (1 in the
// simple layer, 3 in the GRU, 4 in the LSTM). Every array belongs to the caller and is only used during the call.
// Features are adjacent in memory; strides over batch and time are given in elements, so both layouts are served.
// No output may overlap an input or another output. The one exception: hn and cn may be h0 and c0 where T is 1.
// A pointer is null where its option is not used.
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

enum class Kernel : int { simple_rnn, lstm, gru };

// The variants of each kernel's equations.
enum class Variant : int {
    standard,      // lstm
    tanh,          // simple_rnn, by its nonlinearity
    relu,          // simple_rnn
    sigmoid,       // simple_rnn
    reset_after,   // gru, by where the reset gate acts: on the product U_n h
    reset_before,  // gru: on h before the product; not with `normed`
};

// What a call computes. The sizes of its scratch and of its saved rows follow from this alone.
struct RecurrentProblem {
    Kernel kernel;
    Variant variant;
    int64_t batch, time, input, hidden;
    int64_t state;                                     // S
    bool reverse;                                      // from each row's last valid step to its first
    bool masked, zoned_h, zoned_c, peepholes, normed;  // the options in use
    int threads;                                       // an upper bound; small calls use fewer
    const int64_t* lengths;                            // [B], 0 <= length <= T, or null: all T
    Strided<const uint8_t> resets;                     // [B, T]: non-zero resets the row before that step; or null
};

// The gains are used with `normed`, those of c in the LSTM alone.
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

// Matrices in 8 bits with a scale for each row, in the place of w, u and projection, which are null then. The numbers
// lie between -127 and 127; rows are no longer than 65,536.
struct Int8Weights {
    const int8_t *w, *u, *projection;
    const float *w_scales, *u_scales, *projection_scales;  // [G·H], [G·H], [S]
    const float* diagonal;  // [H] of u in the simple layer, whose numbers there are zeros then; or null
};

// What the forward and the backward call both read.
template <class T>
struct RecurrentInputs {
    Strided<const T> x;  // [B, T, I]; null in a backward call without dw
    RecurrentWeights<T> weights;
    const T *h0, *c0;                 // [B, S], [B, H]: the state before the first step; null: zeros
    const T *reset_h, *reset_c;       // [B, S], [B, H]: the state after a reset; null: zeros
    const T* mask;                    // [B, S]: U multiplies mask ⊙ h
    Strided<const T> zone_h, zone_c;  // [B, T, S], [B, T, H]: the share of the old state that is kept
};

template <class T>
struct RecurrentForward : RecurrentInputs<T> {
    Strided<T> out;    // [B, T, S], zeros behind a row's length
    T* hn;             // [B, S], the state after the last valid step
    T* cn;             // [B, H]
    Strided<T> saved;  // [B, T, saved width] for the backward call, unset behind a row's length; or null
    void* scratch;     // any content
    // [B, T, G·H]: what is added to W x, as the products of further weights with further inputs; or null. Not with
    // `normed`, and not with weights in 8 bits.
    Strided<const T> added = {nullptr, 0, 0};
};

// Gradients that are not wanted are null. The two elements of `db` get the same numbers where a kernel adds both biases
// before anything else.
template <class T>
struct RecurrentBackward : RecurrentInputs<T> {
    Strided<const T> out, saved;  // the forward call's results
    Strided<const T> dout;        // null: zeros
    Strided<const T> dcells;      // [B, T, H] gradient of every c; null: zeros
    const T *dhn, *dcn;           // null: zeros
    Strided<T> dx;                // zeros behind a row's length
    T *dw, *du, *db[2], *dprojection, *dpeephole, *dgain_x, *dgain_h, *dgain_c, *dshift_c;
    T *dh0, *dc0, *dreset_h, *dreset_c;
    void* scratch;
};

// Each call goes to the kernel that the problem names, built for the CPU family in use.

// Bytes of scratch that a forward or a backward call needs, with slack for alignment. `element`: bytes of a number.
size_t recurrent_scratch(const RecurrentProblem&, size_t element, bool backward);
// Elements of a saved row. Batch, time, input and threads do not matter.
int64_t recurrent_saved_width(const RecurrentProblem&);
// Packs the weights into a forward call's scratch.
void recurrent_pack(const RecurrentProblem&, const RecurrentWeights<float>&, void* scratch);
void recurrent_pack(const RecurrentProblem&, const RecurrentWeights<double>&, void* scratch);
// The forward call on weights that were packed into its scratch; any number of times.
void recurrent_forward(const RecurrentProblem&, const RecurrentForward<float>&);
void recurrent_forward(const RecurrentProblem&, const RecurrentForward<double>&);
void recurrent_backward(const RecurrentProblem&, const RecurrentBackward<float>&);
void recurrent_backward(const RecurrentProblem&, const RecurrentBackward<double>&);

// The same with weights in 8 bits, of float32 calls without `saved`. The rows that they multiply are quantised as they
// come (common/int8.h); gates and states stay float32.
size_t int8_scratch(const RecurrentProblem&);
void int8_pack(const RecurrentProblem&, const RecurrentWeights<float>&, const Int8Weights&, void* scratch);
void int8_forward(const RecurrentProblem&, const RecurrentForward<float>&);

// Declares the same functions of one kernel, once per CPU family; recurrent_define.h defines them.
#define RNNKIT_DECLARE_FAMILY(family, name)                                                    \
    namespace family {                                                                         \
    size_t name##_scratch(const RecurrentProblem&, size_t element, bool backward);             \
    int64_t name##_saved_width(const RecurrentProblem&);                                       \
    void name##_pack(const RecurrentProblem&, const RecurrentWeights<float>&, void* scratch);  \
    void name##_pack(const RecurrentProblem&, const RecurrentWeights<double>&, void* scratch); \
    void name##_forward(const RecurrentProblem&, const RecurrentForward<float>&);              \
    void name##_forward(const RecurrentProblem&, const RecurrentForward<double>&);             \
    void name##_backward(const RecurrentProblem&, const RecurrentBackward<float>&);            \
    void name##_backward(const RecurrentProblem&, const RecurrentBackward<double>&);           \
    }
// Weights in 8 bits have families of their own.
#define RNNKIT_DECLARE_INT8(family, name)                                                                         \
    namespace family {                                                                                            \
    size_t name##_scratch(const RecurrentProblem&);                                                               \
    void name##_pack(const RecurrentProblem&, const RecurrentWeights<float>&, const Int8Weights&, void* scratch); \
    void name##_forward(const RecurrentProblem&, const RecurrentForward<float>&);                                 \
    }
#define RNNKIT_DECLARE_RECURRENT(name)         \
    RNNKIT_DECLARE_FAMILY(generic, name)       \
    RNNKIT_DECLARE_FAMILY(avx2, name)          \
    RNNKIT_DECLARE_FAMILY(avx512, name)        \
    RNNKIT_DECLARE_INT8(int8_generic, name)    \
    RNNKIT_DECLARE_INT8(int8_avx2, name)       \
    RNNKIT_DECLARE_INT8(int8_avx512, name)     \
    RNNKIT_DECLARE_INT8(int8_avxvnni, name)    \
    RNNKIT_DECLARE_INT8(int8_avx512vnni, name) \
    RNNKIT_DECLARE_INT8(int8_emulated, name)

}  // namespace rnnkit
