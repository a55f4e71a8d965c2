#include "problem.h"

#include <cmath>
#include <limits>
#include <random>

const char* const field_names[fields] = {"x",          "w",        "u",      "b_x",     "b_h",
                                         "projection", "peephole", "gain_x", "gain_h",  "gain_c",
                                         "shift_c",    "h0",       "c0",     "reset_h", "reset_c"};

namespace {
const char* const kernel_names[] = {"simple_rnn", "lstm", "gru"};
const char* const option_names[option_count] = {
    "masked", "zoned_h", "zoned_c", "even_zones", "peepholes", "projected", "normed",  "before", "bias_x",
    "bias_h", "state",   "ragged",  "resets",     "initial",   "backwards", "every_c", "ends"};
}  // namespace

std::string Case::name() const {
    std::string text = kernel_names[kernel];
    const int64_t numbers[] = {batch, time, input, hidden, nonlinearity, threads, static_cast<int64_t>(layout)};
    const char* const names[] = {" B ", " T ", " I ", " H ", " nonlinearity ", " threads ", " layout "};
    for (int i = 0; i < 7; ++i) text += names[i] + std::to_string(numbers[i]);
    for (int i = 0; i < option_count; ++i)
        if (has(1u << i)) text += std::string(" ") + option_names[i];
    return text;
}

unsigned served(Kernel kernel, unsigned options) {
    if (kernel != lstm) options &= ~(zoned_c | peepholes | projected | every_c);
    if (kernel != gru) options &= ~before;
    if ((options & before) != 0) options &= ~normed;
    if ((options & (zoned_h | zoned_c)) == 0) options &= ~even_zones;
    if ((options & resets) == 0) options &= ~initial;
    return options;
}

Problem::Problem(const Case& which) : c(which) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    std::mt19937 random(static_cast<unsigned>(7 + c.options + 31 * c.hidden));
    std::uniform_real_distribution<double> uniform(-1, 1);
    const auto numbers = [&](int64_t n, double scale = 1) {
        std::vector<double> v(static_cast<size_t>(n));
        for (double& value : v) value = static_cast<double>(static_cast<float>(uniform(random) * scale));
        return v;
    };
    const int64_t B = c.batch, steps = B * c.time, H = c.hidden, S = c.state_size(), wide = c.gates() * H;
    const double scale = 1 / std::sqrt(static_cast<double>(H));

    for (int64_t b = 0; c.has(ragged) && b < B; ++b) lengths.push_back((7 * b + 3) % (c.time + 1));
    const auto sequence = [&](int64_t features) {
        std::vector<double> v = numbers(steps * features);
        for (int64_t b = 0; b < B; ++b)
            for (int64_t i = length(b) * features; i < c.time * features; ++i)
                v[static_cast<size_t>(b * c.time * features + i)] = nan;
        return v;
    };
    // Any number but 0 puts a row back, and behind a row's length none matters.
    for (int64_t b = 0; c.has(resets) && b < B; ++b)
        for (int64_t t = 0; t < c.time; ++t)
            reset.push_back(t >= length(b) ? 1 : static_cast<uint8_t>((b + t) % 4 == 1 ? 128 : (b + 2 * t) % 7 == 0));

    given[x] = sequence(c.input), given[w] = numbers(wide * c.input, scale), given[u] = numbers(wide * S, scale);
    if (c.has(normed)) given[gain_x] = numbers(wide), given[gain_h] = numbers(wide);
    if (c.has(normed) && c.kernel == lstm) given[gain_c] = numbers(H), given[shift_c] = numbers(H);
    if (c.has(bias_x)) given[b_x] = numbers(wide);
    if (c.has(bias_h)) given[b_h] = numbers(wide);
    if (S != H) given[projection] = numbers(S * H, scale);
    if (c.has(peepholes)) given[peephole] = numbers(3 * H);
    if (c.has(state)) given[h0] = numbers(B * S);
    if (c.has(initial)) given[reset_h] = numbers(B * S);
    if (c.has(state) && c.kernel == lstm) given[c0] = numbers(B * H);
    if (c.has(initial) && c.kernel == lstm) given[reset_c] = numbers(B * H);

    if (c.has(masked)) mask = numbers(B * S, 2);
    const auto zone = [&](int64_t features) {
        std::vector<double> v = c.has(even_zones) ? numbers(features) : sequence(features);
        for (double& value : v) value = std::abs(value);
        return v;
    };
    if (c.has(zoned_h)) zone_h = zone(S);
    if (c.has(zoned_c)) zone_c = zone(H);
    dout = sequence(S);
    if (c.has(every_c)) dcells = sequence(H);
    if (c.has(ends)) dhn = numbers(B * S);
    if (c.has(ends) && c.kernel == lstm) dcn = numbers(B * H);
}
