#include <cmath>

#include "problem.h"
#include "tape.h"

namespace {

struct State {
    Slice h, c;
};

class Truth {
public:
    explicit Truth(const Problem& problem) : p_(problem), c_(problem.c) {
        for (int f = 0; f < fields; ++f) leaves_[static_cast<size_t>(f)] = tape_.leaf(p_.given[static_cast<size_t>(f)]);
        zeros_ = tape_.leaf(std::vector<double>(H));
        ones_ = tape_.leaf(std::vector<double>(H, 1.0));
    }

    Expected run() {
        Expected result;
        const auto steps = static_cast<size_t>(c_.batch * c_.time);
        result.out.resize(steps * S), result.cells.resize(steps * H);
        const auto keep = [&](std::vector<double>& to, size_t at, Slice from) {
            const std::vector<double> numbers = tape_.values(from);
            for (size_t i = 0; i < numbers.size(); ++i) to[at + i] = numbers[i];
        };
        const auto arrives = [&](Slice at, const std::vector<double>& gradient, size_t from) {
            if (gradient.empty()) return;
            tape_.seed(at, gradient.data() + from);
            const std::vector<double> numbers = tape_.values(at);
            for (size_t i = 0; i < numbers.size(); ++i) result.loss += numbers[i] * gradient[from + i];
        };
        for (int64_t row = 0; row < c_.batch; ++row) {
            const auto b = static_cast<size_t>(row);
            const State first{row_of(h0, b, S), row_of(c0, b, H)}, back{row_of(reset_h, b, S), row_of(reset_c, b, H)};
            State state = first;
            for (int64_t s = 0; s < p_.length(row); ++s) {
                const int64_t t = c_.has(backwards) ? p_.length(row) - 1 - s : s;
                const size_t at = p_.step(row, t);
                if (c_.has(resets) && p_.reset[at] != 0) state = back;
                state = step(row, t, state);
                keep(result.out, at * S, state.h), keep(result.cells, at * H, state.c);
                arrives(state.h, p_.dout, at * S), arrives(state.c, p_.dcells, at * H);
            }
            const std::vector<double> h = tape_.values(state.h), c = tape_.values(state.c);
            result.hn.insert(result.hn.end(), h.begin(), h.end());
            result.cn.insert(result.cn.end(), c.begin(), c.end());
            arrives(state.h, p_.dhn, b * S), arrives(state.c, p_.dcn, b * H);
        }
        tape_.pull();
        for (size_t f = 0; f < fields; ++f) result.gradients[f] = tape_.gradients(leaves_[f]);
        return result;
    }

private:
    Slice field(Field f) const { return leaves_[static_cast<size_t>(f)]; }
    bool given(Field f) const { return !p_.given[static_cast<size_t>(f)].empty(); }
    Slice row_of(Field f, size_t b, size_t n) const { return given(f) ? field(f).part(b * n, n) : zeros_.part(0, n); }

    Slice sigmoid(Slice a) {
        return tape_.map(
            a, [](double v) { return 1 / (1 + std::exp(-v)); }, [](double, double y) { return y * (1 - y); });
    }
    Slice tanh(Slice a) {
        return tape_.map(a, [](double v) { return std::tanh(v); }, [](double, double y) { return 1 - y * y; });
    }
    Slice relu(Slice a) {
        return tape_.map(a, [](double v) { return v > 0 ? v : 0; }, [](double v, double) { return v > 0 ? 1.0 : 0.0; });
    }
    Slice normalise(Slice a) {
        const Slice centred = tape_.minus(a, tape_.spread(tape_.mean(a), a.count));
        const Slice variance = tape_.mean(tape_.times(centred, centred));
        const Slice scale = tape_.map(
            variance, [](double v) { return 1 / std::sqrt(v + 1e-5); },
            [](double, double y) { return -0.5 * y * y * y; });
        return tape_.times(centred, tape_.spread(scale, a.count));
    }
    Slice zone(const std::vector<double>& zones, int64_t row, int64_t t, Slice old, Slice next) {
        if (zones.empty()) return next;
        const Slice kept = tape_.leaf(zones.data() + p_.zone_row(row, t) * next.count, next.count);
        const Slice left = tape_.minus(ones_.part(0, next.count), kept);
        return tape_.plus(tape_.times(kept, old), tape_.times(left, next));
    }
    // Rows [gate · H, ...) of a weight or a bias.
    Slice gate(Field f, size_t g, size_t gates, size_t width) const {
        return field(f).part(g * H * width, gates * H * width);
    }
    Slice plus_bias(Slice a, Field bias, size_t g) {
        return given(bias) ? tape_.plus(a, gate(bias, g, a.count / H, 1)) : a;
    }

    State step(int64_t row, int64_t t, State was) {
        const size_t at = p_.step(row, t);
        Slice seen = was.h;
        if (c_.has(masked)) seen = tape_.times(tape_.leaf(p_.mask.data() + static_cast<size_t>(row) * S, S), seen);
        const Slice from_x = product(w, field(x).part(at * I, I), gain_x, b_x);
        State next = c_.kernel == gru    ? State{gru_step(from_x, was.h, seen), zeros_}
                     : c_.kernel == lstm ? lstm_step(from_x, from_h(seen), was.c)
                                         : State{activate(tape_.plus(from_x, from_h(seen))), zeros_};
        next.h = zone(p_.zone_h, row, t, was.h, next.h);
        next.c = zone(p_.zone_c, row, t, was.c, next.c);
        return next;
    }
    // A product, normalised where that is asked, and the bias behind.
    Slice product(Field weight, Slice right, Field gain, Field bias) {
        Slice a = tape_.product(field(weight), right);
        if (c_.has(normed)) a = tape_.times(field(gain), normalise(a));
        return plus_bias(a, bias, 0);
    }
    Slice from_h(Slice seen) { return product(u, seen, gain_h, b_h); }
    Slice activate(Slice a) { return c_.nonlinearity == 0 ? tanh(a) : c_.nonlinearity == 1 ? relu(a) : sigmoid(a); }

    State lstm_step(Slice from_x, Slice from_state, Slice c) {
        const Slice all = tape_.plus(from_x, from_state);
        Slice i = all.part(0, H), f = all.part(H, H), g = all.part(2 * H, H), o = all.part(3 * H, H);
        if (c_.has(peepholes)) {
            i = tape_.plus(i, tape_.times(field(peephole).part(0, H), c));
            f = tape_.plus(f, tape_.times(field(peephole).part(H, H), c));
        }
        const Slice next = tape_.plus(tape_.times(sigmoid(f), c), tape_.times(sigmoid(i), tanh(g)));
        if (c_.has(peepholes)) o = tape_.plus(o, tape_.times(field(peephole).part(2 * H, H), next));
        Slice inner = next;
        if (c_.has(normed)) inner = tape_.plus(tape_.times(field(gain_c), normalise(next)), field(shift_c));
        const Slice h = tape_.times(sigmoid(o), tanh(inner));
        return {given(projection) ? tape_.product(field(projection), h) : h, next};
    }

    Slice gru_step(Slice from_x, Slice h, Slice seen) {
        Slice r, z, n;
        if (c_.has(before)) {
            const Slice both = plus_bias(tape_.product(gate(u, 0, 2, S), seen), b_h, 0);
            r = sigmoid(tape_.plus(from_x.part(0, H), both.part(0, H)));
            z = sigmoid(tape_.plus(from_x.part(H, H), both.part(H, H)));
            n = plus_bias(tape_.product(gate(u, 2, 1, S), tape_.times(r, seen)), b_h, 2);
        } else {
            const Slice all = from_h(seen);
            r = sigmoid(tape_.plus(from_x.part(0, H), all.part(0, H)));
            z = sigmoid(tape_.plus(from_x.part(H, H), all.part(H, H)));
            n = tape_.times(r, all.part(2 * H, H));
        }
        n = tanh(tape_.plus(from_x.part(2 * H, H), n));
        return tape_.plus(tape_.times(tape_.minus(ones_, z), n), tape_.times(z, h));
    }

    const Problem& p_;
    const Case& c_;
    const size_t H = static_cast<size_t>(c_.hidden), S = static_cast<size_t>(c_.state_size()),
                 I = static_cast<size_t>(c_.input);
    Tape tape_;
    std::array<Slice, fields> leaves_;
    Slice zeros_, ones_;
};

}  // namespace

Expected expected(const Problem& problem) { return Truth(problem).run(); }
