// The simple recurrent layer, one layer in one direction over whole sequences: h_t = σ(W x_t + U h_{t-1} + b).
//
// Legend: B batch, T time, I input, H hidden. Every array belongs to the caller and is only used during the call.
// Features are adjacent in memory; strides over batch and time are given in elements, so both layouts are served.
// No output may overlap an input or another output.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace rnnkit {

enum class Nonlinearity : int { tanh = 0, relu = 1, sigmoid = 2 };

// A [B, T, features] array, or null where `data` is null.
template <class T>
struct Strided {
    T* data;
    int64_t batch, time;
};

struct SimpleRnnSizes {
    int64_t batch, time, input, hidden;
    Nonlinearity nonlinearity;
    bool reverse;            // from each row's last valid step to its first
    int threads;             // an upper bound; small calls use fewer
    const int64_t* lengths;  // [B], 0 <= length <= T, or null: all T
    Strided<const uint8_t> resets;  // [B, T]: non-zero puts the row back to its initial state before that step; or null
};

template <class T>
struct SimpleRnnForward {
    Strided<const T> x;  // [B, T, I]
    const T* w;          // [H, I]
    const T* u;          // [H, H]
    const T* bias[2];    // [H] each, or null
    const T* h0;         // [B, H], or null: zeros
    Strided<T> out;      // [B, T, H], zeros behind a row's length
    T* hn;               // [B, H], the state after the last valid step
    void* scratch;       // simple_rnn_scratch() bytes, any content
};

template <class T>
struct SimpleRnnBackward {
    Strided<const T> x;     // as in the forward call; null where dw is null
    const T* u;             // [H, H]
    const T* h0;            // [B, H] or null
    Strided<const T> out;   // the forward call's result
    Strided<const T> dout;  // gradient of out, or null: zeros
    const T* dhn;           // [B, H] gradient of hn, or null: zeros
    Strided<T> dpre;        // [B, T, H]: gradient before the nonlinearity, zeros behind a row's length
    T* dw;                  // [H, I] or null
    T* du;                  // [H, H] or null
    T* db;                  // [H] or null
    T* dh0;                 // [B, H] or null
    void* scratch;
};

// Bytes of scratch that either call needs, with 64 bytes of slack for alignment.
size_t simple_rnn_scratch(const SimpleRnnSizes& sizes, size_t element);

void simple_rnn_forward(const SimpleRnnSizes& sizes, const SimpleRnnForward<float>& call);
void simple_rnn_forward(const SimpleRnnSizes& sizes, const SimpleRnnForward<double>& call);
void simple_rnn_backward(const SimpleRnnSizes& sizes, const SimpleRnnBackward<float>& call);
void simple_rnn_backward(const SimpleRnnSizes& sizes, const SimpleRnnBackward<double>& call);

}  // namespace rnnkit
