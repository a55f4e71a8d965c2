// What the tests compute: one call with some of the options, its numbers, and the truth about its results.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

enum Kernel { simple_rnn, lstm, gru };

enum Option : unsigned {
    masked = 1 << 0,
    zoned_h = 1 << 1,
    zoned_c = 1 << 2,
    even_zones = 1 << 3,  // one zone for all rows and steps: strides of 0
    peepholes = 1 << 4,
    projected = 1 << 5,
    normed = 1 << 6,
    before = 1 << 7,  // the GRU's reset gate before the product
    bias_x = 1 << 8,
    bias_h = 1 << 9,
    state = 1 << 10,
    ragged = 1 << 11,
    resets = 1 << 12,
    initial = 1 << 13,  // what resets put rows back to; without it zeros
    backwards = 1 << 14,
    every_c = 1 << 15,  // a gradient for every c
    ends = 1 << 16,     // gradients for hn and cn
    all_options = (1 << 17) - 1,
};
constexpr int option_count = 17;

// gapped: batch first, with unused elements between rows that nobody may write.
enum class Layout { time_first, batch_first, gapped };

struct Case {
    Kernel kernel;
    int64_t batch, time, input, hidden;
    unsigned options;
    int nonlinearity = 0;  // of the simple layer: tanh, relu, sigmoid
    int threads = 1;
    Layout layout = Layout::time_first;

    bool has(unsigned option) const { return (options & option) != 0; }
    int64_t gates() const { return kernel == lstm ? 4 : kernel == gru ? 3 : 1; }
    int64_t state_size() const { return has(projected) && hidden > 1 ? hidden / 2 : hidden; }
    std::string name() const;
};

// Options that the kernel has, and that go together.
unsigned served(Kernel kernel, unsigned options);

// Arrays that have gradients.
enum Field {
    x,
    w,
    u,
    b_x,
    b_h,
    projection,
    peephole,
    gain_x,
    gain_h,
    gain_c,
    shift_c,
    h0,
    c0,
    reset_h,
    reset_c,
    fields
};
extern const char* const field_names[fields];
using Fields = std::array<std::vector<double>, fields>;  // empty: not given

// Sequences as [B, T, features]. All numbers are floats, so that one truth serves both precisions. What lies behind a
// row's length is NaN.
struct Problem {
    Case c;
    Fields given;
    std::vector<double> mask, zone_h, zone_c;  // zones [B, T, ...], or one row with even_zones
    std::vector<double> dout, dcells, dhn, dcn;
    std::vector<int64_t> lengths;
    std::vector<uint8_t> reset;  // [B, T]

    explicit Problem(const Case& which);

    int64_t length(int64_t b) const { return c.has(ragged) ? lengths[static_cast<size_t>(b)] : c.time; }
    size_t step(int64_t b, int64_t t) const { return static_cast<size_t>(b * c.time + t); }
    size_t zone_row(int64_t b, int64_t t) const { return c.has(even_zones) ? 0 : step(b, t); }
};

struct Expected {
    std::vector<double> out, cells;  // [B, T, ...], zeros behind a row's length
    std::vector<double> hn, cn;
    Fields gradients;
    double loss = 0;  // whose gradients these are: the sum of all results times the gradients that arrive at them
};

// The equations of rnnkit/ops/*.py, in double precision, on a tape.
Expected expected(const Problem& problem);
