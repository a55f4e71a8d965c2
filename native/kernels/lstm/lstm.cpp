// Compiled once per CPU family, with RNNKIT_FAMILY set to its name. README.md has the equations and the measurements.
#include "lstm.h"

#include "../recurrent_gradients.h"
#include "../recurrent_norm.h"

namespace rnnkit::RNNKIT_FAMILY {

// Where things lie in a saved row and in a ring row.
struct LstmLayout {
    int64_t H, S;
    bool normed, projected, masked;

    explicit LstmLayout(const RecurrentSizes& s)
        : H(s.hidden), S(s.state), normed(s.normed), projected(s.state != s.hidden), masked(s.masked) {}
    int64_t c() const { return 4 * H; }
    int64_t raw_h() const { return 5 * H; }     // U h
    int64_t raw_x() const { return 9 * H; }     // W x
    int64_t moments() const { return 13 * H; }  // of W x, of U h and of c̃
    int64_t saved() const { return normed ? 13 * H + 6 : 5 * H; }

    // Gradients of the gates, through W's normalisation where there is one; then those through U's.
    int64_t of_h() const { return normed ? 4 * H : 0; }
    int64_t dh() const { return of_h() + 4 * H; }  // what the projection's gradient is made of: dh and
    int64_t cell() const { return dh() + S; }      // o ⊙ tanh(c)
    int64_t recurrent() const { return projected ? cell() + H : dh(); }
    int64_t ring() const { return recurrent() + (masked ? S : 0); }
};

template <class T>
struct Lstm {
    static constexpr int64_t gates = 4;
    static constexpr bool one_bias = true;
    T *candidates, *packed;  // c̃ or o ⊙ tanh(c), by place, and the projection in panels
    T** candidate_rows;

    static bool alone(const RecurrentSizes& s) { return !s.masked && !s.normed && s.state == s.hidden; }
    static int64_t saved_size(const RecurrentSizes& s) { return LstmLayout(s).saved(); }
    static int64_t c_from(const RecurrentSizes& s) { return LstmLayout(s).c(); }

    // Both passes work on a whole row of c̃ in between where something needs the whole of it.
    static bool two_passes(const RecurrentSizes& s) { return s.normed || s.state != s.hidden; }
    void take(Arena& arena, const RecurrentSizes& s) {
        candidates = arena.take<T>(two_passes(s) ? s.batch * s.hidden : 0);
        candidate_rows = arena.take<T*>(two_passes(s) ? s.batch : 0);
        const int64_t widest = s.state > s.hidden ? s.state : s.hidden;
        packed = arena.take<T>(s.state != s.hidden ? Panels<T>(widest).padded() * widest : 0);
    }

    // --- forward -----------------------------------------------------------------------------------------------------

    static int parts(const RecurrentSizes& s, int64_t begin, int64_t end, Part* parts) {
        const int64_t H = s.hidden;
        const LstmLayout layout(s);
        if (s.normed) {
            parts[0] = {0, 4 * H, layout.raw_x(), true, false}, parts[1] = {0, 4 * H, layout.raw_h(), false, true};
            return 2;
        }
        if (end - begin == H) return parts[0] = {0, 4 * H, 0, true, true}, 1;
        for (int64_t g = 0; g < 4; ++g) parts[g] = {g * H + begin, end - begin, g * H + begin, true, true};
        return 4;
    }

    void prepare(const RecurrentSizes& s, const RecurrentWeights<T>& weights, T* bias) const {
        for (const T* one : weights.bias)
            if (one != nullptr) add(bias, one, 4 * s.hidden);
        if (two_passes(s))
            for (int64_t p = 0; p < s.batch; ++p) candidate_rows[p] = candidates + p * s.hidden;
        if (s.state == s.hidden) return;
        const Panels<T> panels(s.state);
        for (int64_t p = 0; p < panels.count; ++p)
            pack_panel(panels, p, weights.projection, s.hidden, true, s.hidden,
                       packed + panels.start(p) * lanes<T> * s.hidden);
    }

    void step(const RecurrentSizes& s, const RecurrentForward<T>& call, const Rows<T>& rows, const Share<T>& share,
              const T* bias) const {
        const LstmLayout layout(s);
        const RecurrentWeights<T>& weights = call.weights;
        const int64_t H = s.hidden;
        share.multiply(s, rows.count, rows.x, rows.recurrent, bias, rows.saved);
        for (int64_t r = 0; r < rows.count; ++r) {
            T* const row = rows.saved[r];
            const int64_t b = rows.batch[r], t = rows.time[r];
            if (s.normed) {
                T *const moments = row + layout.moments(), *const raw_x = row + layout.raw_x(),
                         *const raw_h = row + layout.raw_h();
                const auto of_x = Moments<T>::of(raw_x, 4 * H), of_h = Moments<T>::of(raw_h, 4 * H);
                moments[0] = of_x.mean, moments[1] = of_x.scale, moments[2] = of_h.mean, moments[3] = of_h.scale;
                normalise_both(raw_x, of_x, weights.gain_x, raw_h, of_h, weights.gain_h, bias, row, 4 * H);
            }
            const T* const zone_c = s.zoned_c ? at(call.zone_c, b, t) : nullptr;
            const T* const zone_h = s.zoned_h ? at(call.zone_h, b, t) : nullptr;
            T* const whole = two_passes(s) ? candidate_rows[rows.place + r] : nullptr;
            gate(row, rows.c[r], rows.h[r], weights.peephole, zone_c, zone_h, whole, rows.out[r], H, share.begin,
                 share.end);
            if (whole == nullptr) continue;
            expose(s, weights, row, row + layout.moments() + 4, whole, layout.projected ? whole : rows.out[r],
                   layout.projected ? nullptr : zone_h, rows.h[r]);
        }
        if (!layout.projected) return;
        const Panels<T> panels(s.state);
        const Segment<T> segment[] = {{candidate_rows + rows.place, packed, H}};
        multiply_rows(panels, 0, panels.count, rows.count, segment, Begin::at_bias, static_cast<const T*>(nullptr),
                      rows.out, 0);
        for (int64_t r = 0; s.zoned_h && r < rows.count; ++r)
            keep(rows.out[r], rows.h[r], at(call.zone_h, rows.batch[r], rows.time[r]), s.state);
    }

    // h = zone ⊙ before + (1 − zone) ⊙ h
    static void keep(T* h, const T* before, const T* zone, int64_t n) {
        for (int64_t i = 0; i < n; ++i) h[i] = zone[i] * before[i] + (T(1) - zone[i]) * h[i];
    }

    // From the products in `row` to gates, c, and h (or c̃ into `whole`), for units [begin, end).
    static void gate(T* row, const T* before, const T* h, const T* peephole, const T* zone_c, const T* zone_h, T* whole,
                     T* out, int64_t H, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; u += lanes<T>) {
            const int64_t n = end - u;
            const vec<T> was = load_upto(before + u, n);
            vec<T> i = load_upto(row + u, n), f = load_upto(row + H + u, n), o = load_upto(row + 3 * H + u, n);
            if (peephole != nullptr) i += load_upto(peephole + u, n) * was, f += load_upto(peephole + H + u, n) * was;
            i = sigmoid<T>(i), f = sigmoid<T>(f);
            const vec<T> g = tanh<T>(load_upto(row + 2 * H + u, n));
            const vec<T> candidate = f * was + i * g;
            if (peephole != nullptr) o += load_upto(peephole + 2 * H + u, n) * candidate;
            o = sigmoid<T>(o);
            vec<T> c = candidate;
            if (zone_c != nullptr) {
                const vec<T> zone = load_upto(zone_c + u, n);
                c = zone * was + (T(1) - zone) * candidate;
            }
            store_upto(row + u, i, n), store_upto(row + H + u, f, n);
            store_upto(row + 2 * H + u, g, n), store_upto(row + 3 * H + u, o, n);
            store_upto(row + 4 * H + u, c, n);
            if (whole != nullptr) {
                store_upto(whole + u, candidate, n);
                continue;
            }
            vec<T> next = o * tanh<T>(candidate);
            if (zone_h != nullptr) {
                const vec<T> zone = load_upto(zone_h + u, n);
                next = zone * load_upto(h + u, n) + (T(1) - zone) * next;
            }
            store_upto(out + u, next, n);
        }
    }

    // From c̃ to o ⊙ tanh(c̃), with c̃ normalised first where that is asked.
    static void expose(const RecurrentSizes& s, const RecurrentWeights<T>& weights, const T* row, T* moments,
                       const T* candidate, T* out, const T* zone, const T* before) {
        const int64_t H = s.hidden;
        const Moments<T> m = s.normed ? Moments<T>::of(candidate, H) : Moments<T>{};
        if (s.normed) moments[0] = m.mean, moments[1] = m.scale;
        for (int64_t u = 0; u < H; u += lanes<T>) {
            const int64_t n = H - u;
            vec<T> c = load_upto(candidate + u, n);
            if (s.normed)
                c = load_upto(weights.gain_c + u, n) * ((c - m.mean) * m.scale) + load_upto(weights.shift_c + u, n);
            vec<T> next = load_upto(row + 3 * H + u, n) * tanh<T>(c);
            if (zone != nullptr) {
                const vec<T> kept = load_upto(zone + u, n);
                next = kept * load_upto(before + u, n) + (T(1) - kept) * next;
            }
            store_upto(out + u, next, n);
        }
    }

    // --- backward ----------------------------------------------------------------------------------------------------

    static int64_t ring_size(const RecurrentSizes& s) { return LstmLayout(s).ring(); }
    static int64_t bias_size(const RecurrentSizes& s) { return 4 * s.hidden; }
    static int64_t recurrent_from(const RecurrentSizes& s) { return s.masked ? LstmLayout(s).recurrent() : -1; }
    static int64_t depth_h(const RecurrentSizes& s) { return 4 * s.hidden; }
    static int64_t x_from(const RecurrentSizes&) { return 0; }
    static int64_t h_from(const RecurrentSizes& s) { return LstmLayout(s).of_h(); }
    static bool adds(const RecurrentSizes& s) { return s.zoned_h; }
    static void pack_w(const RecurrentSizes& s, const RecurrentWeights<T>& weights, const Panels<T>& panels, int64_t p,
                       T* to) {
        pack_panel(panels, p, weights.w, s.input, false, 4 * s.hidden, to);
    }

    static int sums(const RecurrentSizes& s, const Sums<T>& to, int64_t begin, int64_t end, bool transposed,
                    Sum<T>* list) {
        using Right = typename Sum<T>::Right;
        const LstmLayout layout(s);
        const int64_t H = s.hidden, I = s.input;
        const bool whole = end - begin == H;
        int n = 0;
        for (int64_t g = 0; g < (whole ? 1 : 4); ++g) {
            const int64_t from = g * H + begin, rows = whole ? 4 * H : end - begin;
            if (to.du != nullptr)
                list[n++] = {Right::state, layout.of_h() + from,   rows,    0,
                             s.state,      to.du + from * s.state, s.state, false};
            if (to.dw != nullptr)
                list[n++] = {
                    Right::x,  from, rows, 0, I, to.dw + (transposed ? from : from * I), transposed ? 4 * H : I,
                    transposed};
        }
        if (to.dprojection != nullptr)
            list[n++] = {Right::ring, layout.dh(), s.state, layout.cell(), H, to.dprojection, H, false};
        return n;
    }
    static void biases(const RecurrentSizes& s, const T* total, T* const* db) {
        for (int i = 0; i < 2; ++i)
            if (db[i] != nullptr) copy(db[i], total, 4 * s.hidden);
    }

    void prepare(const RecurrentSizes& s, const RecurrentWeights<T>& weights) const {
        if (two_passes(s))
            for (int64_t p = 0; p < s.batch; ++p) candidate_rows[p] = candidates + p * s.hidden;
        if (s.state == s.hidden) return;
        const Panels<T> panels(s.hidden);
        for (int64_t p = 0; p < panels.count; ++p)
            pack_panel(panels, p, weights.projection, s.hidden, false, s.state,
                       packed + panels.start(p) * lanes<T> * s.state);
    }

    void differentiate(const RecurrentSizes& s, const RecurrentBackward<T>& call, const BackRows<T>& rows,
                       int64_t begin, int64_t end, const Sums<T>& sums) const {
        const LstmLayout layout(s);
        const RecurrentWeights<T>& weights = call.weights;
        const int64_t H = s.hidden;
        if (layout.projected) project_back(s, call, rows);
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t b = rows.batch[r], t = rows.time[r];
            const T* const row = rows.saved[r];
            T* const ring = rows.ring[r];
            T* const whole = two_passes(s) ? candidate_rows[rows.place + r] : nullptr;
            const T* const zone_h = s.zoned_h && !layout.projected ? at(call.zone_h, b, t) : nullptr;
            open(s, weights, row, rows.c[r], layout.projected ? whole : rows.carry_h[r],
                 layout.projected ? nullptr : rows.dout[r], zone_h, layout.projected ? nullptr : rows.carry_h[r], whole,
                 ring, layout.projected ? ring + layout.cell() : nullptr, sums, begin, end);
            close(weights.peephole, sums.dpeephole, row, rows.c[r], rows.dcells[r],
                  s.zoned_c ? at(call.zone_c, b, t) : nullptr, rows.carry_c[r], ring, H, begin, end);
            if (!s.normed) continue;
            const T* const moments = row + layout.moments();
            denormalise(row + layout.raw_h(), Moments<T>{moments[2], moments[3]}, weights.gain_h, ring,
                        ring + layout.of_h(), sums.dgain_h, static_cast<T*>(nullptr), 4 * H);
            denormalise(row + layout.raw_x(), Moments<T>{moments[0], moments[1]}, weights.gain_x, ring, ring,
                        sums.dgain_x, sums.dshift_x, 4 * H);
        }
    }

    // The gradient of o ⊙ tanh(c̃) from that of the projected h, whose own part of the old state goes on.
    void project_back(const RecurrentSizes& s, const RecurrentBackward<T>& call, const BackRows<T>& rows) const {
        const LstmLayout layout(s);
        for (int64_t r = 0; r < rows.count; ++r) {
            const T* const zone = s.zoned_h ? at(call.zone_h, rows.batch[r], rows.time[r]) : nullptr;
            for (int64_t i = 0; i < s.state; ++i) {
                const T d = rows.carry_h[r][i] + (rows.dout[r] != nullptr ? rows.dout[r][i] : T(0));
                rows.ring[r][layout.dh() + i] = zone != nullptr ? (T(1) - zone[i]) * d : d;
                if (zone != nullptr) rows.carry_h[r][i] = zone[i] * d;
            }
        }
        const T* left[pair_block];
        const Panels<T> panels(s.hidden);
        for (int64_t done = 0; done < rows.count; done += pair_block) {
            const int64_t n = smaller(pair_block, rows.count - done);
            for (int64_t r = 0; r < n; ++r) left[r] = rows.ring[done + r] + layout.dh();
            const Segment<T> segment[] = {{left, packed, s.state}};
            multiply_rows(panels, 0, panels.count, n, segment, Begin::at_bias, static_cast<const T*>(nullptr),
                          candidate_rows + rows.place + done, 0);
        }
    }

    // From dh to the gradient before o's nonlinearity, and to that of c̃, left in the ring's place of g. `whole` is a
    // row of scratch that takes c̃ for the normalisation.
    static void open(const RecurrentSizes& s, const RecurrentWeights<T>& weights, const T* row, const T* before,
                     const T* dh, const T* dout, const T* zone, T* carry, T* whole, T* ring, T* cell,
                     const Sums<T>& sums, int64_t begin, int64_t end) {
        const int64_t H = s.hidden;
        const auto candidate = [&](int64_t u, int64_t n) __attribute__((always_inline)) {
            return load_upto(row + H + u, n) * load_upto(before + u, n) +
                   load_upto(row + u, n) * load_upto(row + 2 * H + u, n);
        };
        Moments<T> m{};
        if (s.normed) m = {row[LstmLayout(s).moments() + 4], row[LstmLayout(s).moments() + 5]};
        for (int64_t u = begin; u < end; u += lanes<T>) {
            const int64_t n = end - u;
            vec<T> d = load_upto(dh + u, n);
            if (dout != nullptr) d += load_upto(dout + u, n);
            if (zone != nullptr) {
                const vec<T> kept = load_upto(zone + u, n);
                store_upto(carry + u, kept * d, n);
                d = (T(1) - kept) * d;
            }
            const vec<T> c = candidate(u, n);
            if (s.normed) store_upto(whole + u, c, n);  // dh, where it lay there, is read
            const vec<T> seen = s.normed ? load_upto(weights.gain_c + u, n) * ((c - m.mean) * m.scale) +
                                               load_upto(weights.shift_c + u, n)
                                         : c;
            const vec<T> o = load_upto(row + 3 * H + u, n), shown = tanh<T>(seen);
            const vec<T> before_o = d * shown * (o * (T(1) - o));
            vec<T> dc = d * o * (T(1) - shown * shown);
            if (cell != nullptr) store_upto(cell + u, o * shown, n);
            store_upto(ring + 3 * H + u, before_o, n);
            if (!s.normed && weights.peephole != nullptr) dc += before_o * load_upto(weights.peephole + 2 * H + u, n);
            store_upto(ring + 2 * H + u, dc, n);
        }
        if (!s.normed) return;
        denormalise(whole, m, weights.gain_c, ring + 2 * H, ring + 2 * H, sums.dgain_c, sums.dshift_c, H);
        for (int64_t u = 0; weights.peephole != nullptr && u < H; ++u)
            ring[2 * H + u] += ring[3 * H + u] * weights.peephole[2 * H + u];
    }

    // From the gradient of c̃ to those before the other gates' nonlinearities, and to the carry to the step before.
    static void close(const T* peephole, T* dpeephole, const T* row, const T* before, const T* dcells, const T* zone,
                      T* carry, T* ring, int64_t H, int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; u += lanes<T>) {
            const int64_t n = end - u;
            const vec<T> i = load_upto(row + u, n), f = load_upto(row + H + u, n), g = load_upto(row + 2 * H + u, n);
            const vec<T> was = load_upto(before + u, n);
            vec<T> state = load_upto(carry + u, n), d = load_upto(ring + 2 * H + u, n);
            if (dcells != nullptr) state += load_upto(dcells + u, n);
            vec<T> kept{};
            if (zone != nullptr) {
                const vec<T> share = load_upto(zone + u, n);
                kept = share * state;
                state = (T(1) - share) * state;
            }
            d += state;
            const vec<T> di = d * g * (i * (T(1) - i)), df = d * was * (f * (T(1) - f));
            kept += d * f;
            if (peephole != nullptr) kept += di * load_upto(peephole + u, n) + df * load_upto(peephole + H + u, n);
            if (dpeephole != nullptr) {
                const vec<T> candidate = f * was + i * g;
                const auto gather = [&](T* to, vec<T> v) __attribute__((always_inline)) {
                    store_upto(to + u, load_upto(to + u, n) + v, n);
                };
                gather(dpeephole, di * was), gather(dpeephole + H, df * was);
                gather(dpeephole + 2 * H, load_upto(ring + 3 * H + u, n) * candidate);
            }
            store_upto(ring + u, di, n), store_upto(ring + H + u, df, n);
            store_upto(ring + 2 * H + u, d * i * (T(1) - g * g), n);
            store_upto(carry + u, kept, n);
        }
    }
};

#define RNNKIT_CELL Lstm
#define RNNKIT_NAME(what) lstm_##what
#include "../recurrent_define.h"

}  // namespace rnnkit::RNNKIT_FAMILY
