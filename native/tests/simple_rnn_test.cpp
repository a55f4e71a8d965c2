// The kernel against loops over scalars, on heap arrays of exactly the size it may touch, with NaN in everything it
// must not read. Run under sanitizers by `make sanitize`.
#include "../kernels/simple_rnn/simple_rnn.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "../common/cpu.h"
#include "../common/parallel.h"

using namespace rnnkit;

namespace {

struct Case {
    int64_t batch, time, input, hidden;
    Nonlinearity nonlinearity;
    bool reverse, ragged, resets, batch_first;
    int threads;
};

template <class T>
struct Problem {
    static constexpr T nan = std::numeric_limits<T>::quiet_NaN();

    Case c;
    std::vector<int64_t> lengths;
    std::vector<uint8_t> resets;
    std::vector<T> x, w, u, b, h0, dout, dhn;
    std::vector<T> out, hn, dpre, dw, du, db, dh0;

    Problem(const Case& which, unsigned seed) : c(which) {
        std::mt19937 random(seed);
        std::uniform_real_distribution<double> uniform(-1, 1);
        const auto numbers = [&](int64_t n, double scale) {
            std::vector<T> v(static_cast<size_t>(n));
            for (T& value : v) value = static_cast<T>(uniform(random) * scale);
            return v;
        };
        const auto unset = [](int64_t n) { return std::vector<T>(static_cast<size_t>(n), nan); };
        const int64_t B = c.batch, steps = c.batch * c.time, H = c.hidden, I = c.input;
        const double scale = 1 / std::sqrt(static_cast<double>(H));
        x = numbers(steps * I, 1), w = numbers(H * I, scale), u = numbers(H * H, scale), b = numbers(H, 1);
        h0 = numbers(B * H, 1), dout = numbers(steps * H, 1), dhn = numbers(B * H, 1);
        out = unset(steps * H), hn = unset(B * H), dpre = unset(steps * H);
        dw = unset(H * I), du = unset(H * H), db = unset(H), dh0 = unset(B * H);
        for (int64_t row = 0; c.ragged && row < B; ++row) lengths.push_back((7 * row + 3) % (c.time + 1));
        for (int64_t i = 0; c.resets && i < steps; ++i) resets.push_back(i % 4 == 1);
        for (int64_t row = 0; row < B; ++row)
            for (int64_t t = length(row); t < c.time; ++t) {
                for (int64_t i = 0; i < I; ++i) x[static_cast<size_t>(offset(row, t) * I + i)] = nan;
                for (int64_t i = 0; i < H; ++i) dout[static_cast<size_t>(offset(row, t) * H + i)] = nan;
            }
    }

    int64_t length(int64_t row) const { return c.ragged ? lengths[static_cast<size_t>(row)] : c.time; }
    int64_t offset(int64_t row, int64_t t) const { return c.batch_first ? row * c.time + t : t * c.batch + row; }
    bool reset(int64_t row, int64_t t) const { return c.resets && resets[static_cast<size_t>(row * c.time + t)] != 0; }

    template <class E>
    Strided<E> strided(E* data, int64_t features) const {
        return c.batch_first ? Strided<E>{data, c.time * features, features} : Strided<E>{data, features, c.batch * features};
    }

    void run() {
        const SimpleRnnSizes sizes{c.batch,   c.time,    c.input,   c.hidden,
                                   c.nonlinearity, c.reverse, c.threads, c.ragged ? lengths.data() : nullptr,
                                   {c.resets ? resets.data() : nullptr, c.time, 1}};
        // All bits set is NaN for every floating type.
        std::vector<unsigned char> scratch(simple_rnn_scratch(sizes, sizeof(T)), 0xFF);
        const T* const input = x.data();
        simple_rnn_forward(sizes, SimpleRnnForward<T>{strided(input, c.input), w.data(), u.data(), {b.data(), nullptr},
                                                      h0.data(), strided(out.data(), c.hidden), hn.data(), scratch.data()});
        std::fill(scratch.begin(), scratch.end(), static_cast<unsigned char>(0xFF));
        const T *const result = out.data(), *const gradient = dout.data();
        simple_rnn_backward(sizes, SimpleRnnBackward<T>{strided(input, c.input), u.data(), h0.data(), strided(result, c.hidden),
                                                        strided(gradient, c.hidden), dhn.data(), strided(dpre.data(), c.hidden),
                                                        dw.data(), du.data(), db.data(), dh0.data(), scratch.data()});
    }

    double activate(double v) const {
        if (c.nonlinearity == Nonlinearity::relu) return v > 0 ? v : 0;
        return c.nonlinearity == Nonlinearity::tanh ? std::tanh(v) : 1 / (1 + std::exp(-v));
    }
    double slope(double h) const {
        if (c.nonlinearity == Nonlinearity::relu) return h > 0 ? 1 : 0;
        return c.nonlinearity == Nonlinearity::tanh ? 1 - h * h : h * (1 - h);
    }

    // The largest difference from the same computation in scalars and double precision.
    double error() const {
        const auto B = static_cast<size_t>(c.batch), H = static_cast<size_t>(c.hidden), I = static_cast<size_t>(c.input);
        std::vector<double> edw(H * I), edu(H * H), edb(H);
        double worst = 0;
        const auto differ = [&](double expected, T found) {
            const double difference = std::abs(expected - static_cast<double>(found));
            worst = std::isnan(difference) ? INFINITY : std::fmax(worst, difference);
        };
        for (size_t row = 0; row < B; ++row) {
            const int64_t steps = length(static_cast<int64_t>(row));
            std::vector<double> state(h0.begin() + static_cast<long>(row * H), h0.begin() + static_cast<long>((row + 1) * H));
            const std::vector<double> initial = state;
            std::vector<std::vector<double>> before, after;
            const auto when = [&](int64_t s) { return c.reverse ? steps - 1 - s : s; };
            for (int64_t s = 0; s < steps; ++s) {
                const auto at = static_cast<size_t>(offset(static_cast<int64_t>(row), when(s)));
                if (reset(static_cast<int64_t>(row), when(s))) state = initial;
                before.push_back(state);
                std::vector<double> next(H);
                for (size_t h = 0; h < H; ++h) {
                    double sum = static_cast<double>(b[h]);
                    for (size_t i = 0; i < I; ++i) sum += static_cast<double>(w[h * I + i]) * static_cast<double>(x[at * I + i]);
                    for (size_t k = 0; k < H; ++k) sum += static_cast<double>(u[h * H + k]) * state[k];
                    next[h] = activate(sum);
                    differ(next[h], out[at * H + h]);
                }
                after.push_back(state = next);
            }
            for (size_t h = 0; h < H; ++h) differ(state[h], hn[row * H + h]);
            for (int64_t t = steps; t < c.time; ++t)
                for (size_t h = 0; h < H; ++h) {
                    const auto at = static_cast<size_t>(offset(static_cast<int64_t>(row), t)) * H + h;
                    differ(0, out[at]), differ(0, dpre[at]);
                }
            std::vector<double> carry(dhn.begin() + static_cast<long>(row * H), dhn.begin() + static_cast<long>((row + 1) * H));
            std::vector<double> edh0(H);
            for (int64_t s = steps - 1; s >= 0; --s) {
                const auto at = static_cast<size_t>(offset(static_cast<int64_t>(row), when(s)));
                const std::vector<double>&was = before[static_cast<size_t>(s)], &now = after[static_cast<size_t>(s)];
                std::vector<double> d(H), previous(H);
                for (size_t h = 0; h < H; ++h) {
                    d[h] = (carry[h] + static_cast<double>(dout[at * H + h])) * slope(now[h]);
                    differ(d[h], dpre[at * H + h]);
                    edb[h] += d[h];
                    for (size_t i = 0; i < I; ++i) edw[h * I + i] += d[h] * static_cast<double>(x[at * I + i]);
                    for (size_t k = 0; k < H; ++k) edu[h * H + k] += d[h] * was[k], previous[k] += d[h] * static_cast<double>(u[h * H + k]);
                }
                carry = previous;
                if (reset(static_cast<int64_t>(row), when(s)))
                    for (size_t h = 0; h < H; ++h) edh0[h] += carry[h], carry[h] = 0;
            }
            for (size_t h = 0; h < H; ++h) differ(edh0[h] + carry[h], dh0[row * H + h]);
        }
        for (size_t i = 0; i < edw.size(); ++i) differ(edw[i], dw[i]);
        for (size_t i = 0; i < edu.size(); ++i) differ(edu[i], du[i]);
        for (size_t i = 0; i < edb.size(); ++i) differ(edb[i], db[i]);
        return worst;
    }
};

template <class T>
int check(const Case& c, double bound) {
    Problem<T> problem(c, 1);
    problem.run();
    const double error = problem.error();
    // Sums over all steps gather their terms' rounding.
    const double allowed = bound * std::sqrt(static_cast<double>(1 + c.batch * c.time));
    if (error <= allowed) return 0;
    std::printf("B %ld T %ld I %ld H %ld σ %d reverse %d ragged %d resets %d threads %d: error %g > %g\n",
                long(c.batch), long(c.time), long(c.input), long(c.hidden), int(c.nonlinearity), c.reverse, c.ragged,
                c.resets, c.threads, error, allowed);
    return 1;
}

}  // namespace

int main() {
    if (*cpu_problem() != '\0') {
        std::printf("%s: nothing to test\n", cpu_problem());
        return 0;
    }
    int failed = 0, passed = 0;
    constexpr int64_t shapes[][4] = {{0, 3, 2, 5},  {1, 1, 1, 1},   {3, 5, 2, 7},    {2, 4, 16, 16}, {5, 9, 3, 50},
                                     {33, 3, 20, 65}, {18, 5, 28, 128}, {7, 20, 1, 33}, {4, 3, 300, 12}};
    for (const auto& s : shapes)
        for (Nonlinearity kind : {Nonlinearity::tanh, Nonlinearity::relu, Nonlinearity::sigmoid})
            for (int options = 0; options < 16; ++options)
                for (int threads : {1, 3}) {
                    // The scalar truth is slow under the sanitizers: the wide shapes take every fifth combination.
                    if (s[3] > 60 && options % 5 != 0) continue;
                    const Case c{s[0], s[1], s[2], s[3], kind, (options & 1) != 0, (options & 2) != 0, (options & 4) != 0, (options & 8) != 0, threads};
                    const int bad = check<float>(c, 2e-5) + check<double>(c, 1e-13);
                    failed += bad, passed += 2 - bad;
                }
    std::printf("%s, threads by %s: %d passed, %d failed\n", cpu_name(chosen_cpu()), thread_runtime(), passed, failed);
    return failed == 0 ? 0 : 1;
}
