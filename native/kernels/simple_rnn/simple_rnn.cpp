// Compiled once per CPU family, with RNNKIT_FAMILY set to its name. README.md has the equations and the measurements.
#include "simple_rnn.h"

#include "../recurrent_gradients.h"
#include "../recurrent_norm.h"

namespace rnnkit::RNNKIT_FAMILY {

template <class T>
struct SimpleRnn {
    static constexpr int64_t gates = 1;
    static constexpr bool one_bias = true;
    enum Kind { of_tanh = 0, of_relu = 1, of_sigmoid = 2 };

    static bool alone(const RecurrentSizes& s) { return !s.masked && !s.normed; }
    // Where things lie in a saved row: σ(...), then U h, W x, the moments of W x and of U h.
    static int64_t raw_h(const RecurrentSizes& s) { return s.hidden; }
    static int64_t raw_x(const RecurrentSizes& s) { return 2 * s.hidden; }
    static int64_t moments(const RecurrentSizes& s) { return 3 * s.hidden; }
    static int64_t saved_size(const RecurrentSizes& s) {
        return s.normed ? 3 * s.hidden + 4 : s.zoned_h ? s.hidden : 0;
    }
    static int64_t c_from(const RecurrentSizes&) { return -1; }
    void take(Arena&, const RecurrentSizes&) {}

    // --- forward -----------------------------------------------------------------------------------------------------

    static int parts(const RecurrentSizes& s, int64_t begin, int64_t end, Part* parts) {
        if (!s.normed) return parts[0] = {begin, end - begin, begin, true, true}, 1;
        parts[0] = {0, s.hidden, raw_x(s), true, false}, parts[1] = {0, s.hidden, raw_h(s), false, true};
        return 2;
    }

    void prepare(const RecurrentSizes& s, const RecurrentWeights<T>& weights, T* bias) const {
        for (const T* one : weights.bias)
            if (one != nullptr) add(bias, one, s.hidden);
    }

    void step(const RecurrentSizes& s, const RecurrentForward<T>& call, const Rows<T>& rows, const Share<T>& share,
              const T* bias) const {
        // Without a row to save the products go straight to the output.
        T* const* const work = saved_size(s) > 0 ? rows.saved : rows.out;
        share.multiply(s, rows.count, rows.x, rows.recurrent, bias, work);
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t b = rows.batch[r], t = rows.time[r];
            T* const row = work[r];
            if (s.normed) {
                const auto of_x = Moments<T>::of(row + raw_x(s), s.hidden),
                           of_h = Moments<T>::of(row + raw_h(s), s.hidden);
                T* const m = row + moments(s);
                m[0] = of_x.mean, m[1] = of_x.scale, m[2] = of_h.mean, m[3] = of_h.scale;
                normalise_both(row + raw_x(s), of_x, call.weights.gain_x, row + raw_h(s), of_h, call.weights.gain_h,
                               bias, row, s.hidden);
            }
            activate(s.kind, row, share.begin, share.end);
            if (s.zoned_h) {
                const T *const zone = at(call.zone_h, b, t), *const before = rows.h[r];
                for (int64_t i = share.begin; i < share.end; ++i)
                    rows.out[r][i] = zone[i] * before[i] + (T(1) - zone[i]) * row[i];
            } else if (s.normed) {
                copy(rows.out[r], row, s.hidden);
            }
        }
    }

    // σ in place. NaN stays NaN.
    static void activate(int kind, T* row, int64_t begin, int64_t end) {
        const auto each = [&](auto&& f) __attribute__((always_inline)) {
            for (int64_t i = begin; i < end; i += lanes<T>)
                store_upto(row + i, f(load_upto(row + i, end - i)), end - i);
        };
        if (kind == of_relu)
            each([](vec<T> v) __attribute__((always_inline)) { return v < T(0) ? vec<T>{} : v; });
        else if (kind == of_tanh)
            each([](vec<T> v) __attribute__((always_inline)) { return tanh<T>(v); });
        else
            each([](vec<T> v) __attribute__((always_inline)) { return sigmoid<T>(v); });
    }

    // --- backward ----------------------------------------------------------------------------------------------------

    // The gradient before σ, through W's normalisation where there is one; then that through U's; then what U was
    // given.
    static int64_t kept(const RecurrentSizes& s) { return s.normed ? 2 * s.hidden : s.hidden; }
    static int64_t ring_size(const RecurrentSizes& s) { return kept(s) + (s.masked ? s.hidden : 0); }
    static int64_t bias_size(const RecurrentSizes& s) { return s.hidden; }
    static int64_t recurrent_from(const RecurrentSizes& s) { return s.masked ? kept(s) : -1; }
    static int64_t depth_h(const RecurrentSizes& s) { return s.hidden; }
    static int64_t x_from(const RecurrentSizes&) { return 0; }
    static int64_t h_from(const RecurrentSizes& s) { return s.normed ? s.hidden : 0; }
    static bool adds(const RecurrentSizes& s) { return s.zoned_h; }
    static void pack_w(const RecurrentSizes& s, const RecurrentWeights<T>& weights, const Panels<T>& panels, int64_t p,
                       T* to) {
        pack_panel(panels, p, weights.w, s.input, false, s.hidden, to);
    }

    static int sums(const RecurrentSizes& s, const Sums<T>& to, int64_t begin, int64_t end, bool transposed,
                    Sum<T>* list) {
        using Right = typename Sum<T>::Right;
        const int64_t H = s.hidden, I = s.input, units = end - begin;
        int n = 0;
        if (to.du != nullptr) list[n++] = {Right::state, h_from(s) + begin, units, 0, H, to.du + begin * H, H, false};
        if (to.dw != nullptr)
            list[n++] = {Right::x,           begin,     units, 0, I, to.dw + (transposed ? begin : begin * I),
                         transposed ? H : I, transposed};
        return n;
    }
    static void biases(const RecurrentSizes& s, const T* total, T* const* db) {
        for (int i = 0; i < 2; ++i)
            if (db[i] != nullptr) copy(db[i], total, s.hidden);
    }
    void prepare(const RecurrentSizes&, const RecurrentWeights<T>&) const {}

    void differentiate(const RecurrentSizes& s, const RecurrentBackward<T>& call, const BackRows<T>& rows,
                       int64_t begin, int64_t end, const Sums<T>& sums) const {
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t b = rows.batch[r], t = rows.time[r];
            T* const ring = rows.ring[r];
            const T* const zone = s.zoned_h ? at(call.zone_h, b, t) : nullptr;
            slope(s.kind, saved_size(s) > 0 ? rows.saved[r] : rows.out[r], rows.carry_h[r], rows.dout[r], zone, ring,
                  begin, end);
            if (!s.normed) continue;
            const T *const row = rows.saved[r], *const m = row + moments(s);
            denormalise(row + raw_h(s), Moments<T>{m[2], m[3]}, call.weights.gain_h, ring, ring + h_from(s),
                        sums.dgain_h, static_cast<T*>(nullptr), s.hidden);
            denormalise(row + raw_x(s), Moments<T>{m[0], m[1]}, call.weights.gain_x, ring, ring, sums.dgain_x,
                        sums.dshift_x, s.hidden);
        }
    }

    // The gradient before the nonlinearity, whose slope follows from its value h.
    static void slope(int kind, const T* h, T* carry, const T* dout, const T* zone, T* to, int64_t begin, int64_t end) {
        const auto each = [&](auto&& derivative) __attribute__((always_inline)) {
            for (int64_t i = begin; i < end; i += lanes<T>) {
                const int64_t n = end - i;
                vec<T> d = load_upto(carry + i, n);
                if (dout != nullptr) d += load_upto(dout + i, n);
                if (zone != nullptr) {
                    const vec<T> kept = load_upto(zone + i, n);
                    store_upto(carry + i, kept * d, n);
                    d = (T(1) - kept) * d;
                }
                store_upto(to + i, derivative(d, load_upto(h + i, n)), n);
            }
        };
        if (kind == of_relu)
            each([](vec<T> d, vec<T> v) __attribute__((always_inline)) { return v > T(0) ? d : vec<T>{}; });
        else if (kind == of_tanh)
            each([](vec<T> d, vec<T> v) __attribute__((always_inline)) { return d * (T(1) - v * v); });
        else
            each([](vec<T> d, vec<T> v) __attribute__((always_inline)) { return d * (v * (T(1) - v)); });
    }
};

#define RNNKIT_CELL SimpleRnn
#define RNNKIT_NAME(what) simple_rnn_##what
#include "../recurrent_define.h"

}  // namespace rnnkit::RNNKIT_FAMILY
