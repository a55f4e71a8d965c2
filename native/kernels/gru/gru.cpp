// Compiled once per CPU family, with RNNKIT_FAMILY set to its name. README.md has the equations and the measurements.
#include "gru.h"

#include "../recurrent_gradients.h"
#include "../recurrent_norm.h"

namespace rnnkit::RNNKIT_FAMILY {

// Ring rows hold dn, dr, dz, dq: W takes the first three, U the last three. With `normed` dr, dz, dn for W follow, each
// part through its own normalisation. With the reset gate before the product they hold dr, dz, dn, and r ⊙ h.
template <class T>
struct Gru {
    static constexpr int64_t gates = 3;
    static constexpr bool one_bias = false;
    T* packed;  // U_n in panels, where the reset gate acts before the product
    T* products;
    T** product_rows;

    static bool before(const RecurrentSizes& s) { return s.kind == 1; }
    static bool alone(const RecurrentSizes& s) { return !s.masked && !s.normed && !before(s); }
    static int64_t saved_size(const RecurrentSizes& s) { return s.normed ? 10 * s.hidden + 4 : 4 * s.hidden; }
    static int64_t raw_h(const RecurrentSizes& s) { return 4 * s.hidden; }
    static int64_t raw_x(const RecurrentSizes& s) { return 7 * s.hidden; }
    static int64_t moments(const RecurrentSizes& s) { return 10 * s.hidden; }  // of W x, then of U h
    static int64_t c_from(const RecurrentSizes&) { return -1; }

    void take(Arena& arena, const RecurrentSizes& s) {
        packed = arena.take<T>(before(s) ? Panels<T>(s.hidden).padded() * s.hidden : 0);
        products = arena.take<T>(before(s) ? s.batch * s.hidden : 0);
        product_rows = arena.take<T*>(before(s) ? s.batch : 0);
    }
    // U_n, for r ⊙ h on the way forward, transposed for the way back.
    void pack_last(const RecurrentSizes& s, const RecurrentWeights<T>& weights, bool transposed) const {
        if (!before(s)) return;
        const int64_t H = s.hidden;
        const Panels<T> panels(H);
        for (int64_t p = 0; p < panels.count; ++p)
            pack_panel(panels, p, weights.u + 2 * H * H, H, transposed, H, packed + panels.start(p) * lanes<T> * H);
        for (int64_t p = 0; p < s.batch; ++p) product_rows[p] = products + p * H;
    }

    // --- forward -----------------------------------------------------------------------------------------------------

    static int parts(const RecurrentSizes& s, int64_t begin, int64_t end, Part* parts) {
        const int64_t H = s.hidden, units = end - begin;
        if (s.normed) {
            parts[0] = {0, 3 * H, raw_x(s), true, false}, parts[1] = {0, 3 * H, raw_h(s), false, true};
            return 2;
        }
        int n = 0;
        if (units == H)
            parts[n++] = {0, 2 * H, 0, true, true};
        else
            for (int64_t g = 0; g < 2; ++g) parts[n++] = {g * H + begin, units, g * H + begin, true, true};
        parts[n++] = {2 * H + begin, units, 2 * H + begin, true, false};
        if (!before(s)) parts[n++] = {2 * H + begin, units, 3 * H + begin, false, true};
        return n;
    }

    void prepare(const RecurrentSizes& s, const RecurrentWeights<T>& weights, T* bias) const {
        const int64_t H = s.hidden;
        pack_last(s, weights, true);
        if (weights.bias[0] != nullptr) add(bias, weights.bias[0], 3 * H);
        if (weights.bias[1] == nullptr) return;
        add(bias, weights.bias[1], 2 * H);
        add(bias + (before(s) ? 2 : 3) * H, weights.bias[1] + 2 * H, H);
    }

    void step(const RecurrentSizes& s, const RecurrentForward<T>& call, const Rows<T>& rows, const Share<T>& share,
              const T* bias) const {
        const int64_t H = s.hidden;
        share.multiply(s, rows.count, rows.x, rows.recurrent, bias, rows.saved);
        if (before(s)) {
            reset_first(s, rows);
            const Panels<T> panels(H);
            const Segment<T> segment[] = {{product_rows + rows.place, packed, H}};
            multiply_rows(panels, 0, panels.count, rows.count, segment, Begin::at_content,
                          static_cast<const T*>(nullptr), rows.saved, 2 * H);
        }
        for (int64_t r = 0; r < rows.count; ++r) {
            T* const row = rows.saved[r];
            const int64_t b = rows.batch[r], t = rows.time[r];
            if (s.normed) {
                const T *const raw_x = row + this->raw_x(s), *const raw_h = row + this->raw_h(s);
                const T *const gain_x = call.weights.gain_x, *const gain_h = call.weights.gain_h;
                const auto of_x = Moments<T>::of(raw_x, 3 * H), of_h = Moments<T>::of(raw_h, 3 * H);
                T* const m = row + moments(s);
                m[0] = of_x.mean, m[1] = of_x.scale, m[2] = of_h.mean, m[3] = of_h.scale;
                normalise_both(raw_x, of_x, gain_x, raw_h, of_h, gain_h, bias, row, 2 * H);
                normalise(raw_x + 2 * H, of_x, gain_x + 2 * H, bias + 2 * H, row + 2 * H, H);
                normalise(raw_h + 2 * H, of_h, gain_h + 2 * H, bias + 3 * H, row + 3 * H, H);
            }
            gate(row, rows.h[r], s.zoned_h ? at(call.zone_h, b, t) : nullptr, before(s), rows.out[r], H, share.begin,
                 share.end);
        }
    }

    // r and r ⊙ h, where that is what U_n multiplies.
    void reset_first(const RecurrentSizes& s, const Rows<T>& rows) const {
        for (int64_t k = 0; k < rows.count; ++k)
            for (int64_t u = 0; u < s.hidden; u += lanes<T>) {
                const int64_t n = s.hidden - u;
                const vec<T> r = sigmoid<T>(load_upto(rows.saved[k] + u, n));
                store_upto(rows.saved[k] + u, r, n);
                store_upto(product_rows[rows.place + k] + u, r * load_upto(rows.recurrent[k] + u, n), n);
            }
    }

    // From the products to gates and h, for units [begin, end).
    static void gate(T* row, const T* h, const T* zone, bool reset_done, T* out, int64_t H, int64_t begin,
                     int64_t end) {
        for (int64_t u = begin; u < end; u += lanes<T>) {
            const int64_t left = end - u;
            const vec<T> z = sigmoid<T>(load_upto(row + H + u, left)), was = load_upto(h + u, left);
            vec<T> n = load_upto(row + 2 * H + u, left);
            if (!reset_done) {
                const vec<T> r = sigmoid<T>(load_upto(row + u, left));
                n += r * load_upto(row + 3 * H + u, left);
                store_upto(row + u, r, left);
            }
            n = tanh<T>(n);
            vec<T> next = n + z * (was - n);
            if (zone != nullptr) {
                const vec<T> kept = load_upto(zone + u, left);
                next = kept * was + (T(1) - kept) * next;
            }
            store_upto(row + H + u, z, left), store_upto(row + 2 * H + u, n, left);
            store_upto(out + u, next, left);
        }
    }

    // --- backward ----------------------------------------------------------------------------------------------------

    static int64_t product(const RecurrentSizes& s) { return 3 * s.hidden; }  // of r ⊙ h in a ring row
    static int64_t kept(const RecurrentSizes& s) { return (s.normed ? 7 : 4) * s.hidden; }
    static int64_t ring_size(const RecurrentSizes& s) { return kept(s) + (s.masked ? s.hidden : 0); }
    static int64_t bias_size(const RecurrentSizes& s) { return (before(s) ? 3 : 4) * s.hidden; }
    static int64_t recurrent_from(const RecurrentSizes& s) { return s.masked ? kept(s) : -1; }
    static int64_t depth_h(const RecurrentSizes& s) { return (before(s) ? 2 : 3) * s.hidden; }
    static int64_t x_from(const RecurrentSizes& s) { return s.normed ? 4 * s.hidden : 0; }
    static int64_t h_from(const RecurrentSizes& s) { return before(s) ? 0 : s.hidden; }
    static bool adds(const RecurrentSizes&) { return true; }
    static void pack_w(const RecurrentSizes& s, const RecurrentWeights<T>& weights, const Panels<T>& panels, int64_t p,
                       T* to) {
        const int64_t H = s.hidden, I = s.input, width = panels.width(p) * lanes<T>;
        if (before(s) || s.normed) return pack_panel(panels, p, weights.w, I, false, 3 * H, to);
        pack_panel(panels, p, weights.w + 2 * H * I, I, false, H, to);
        pack_panel(panels, p, weights.w, I, false, 2 * H, to + H * width);
    }

    static int sums(const RecurrentSizes& s, const Sums<T>& to, int64_t begin, int64_t end, bool transposed,
                    Sum<T>* list) {
        using Right = typename Sum<T>::Right;
        const int64_t H = s.hidden, I = s.input, units = end - begin;
        int n = 0;
        const auto du = [&](int64_t gate, int64_t from, int64_t rows) {
            if (to.du != nullptr) list[n++] = {Right::state, from, rows, 0, H, to.du + gate * H, H, false};
        };
        const auto dw = [&](int64_t gate, int64_t from, int64_t rows) {
            if (to.dw != nullptr)
                list[n++] = {
                    Right::x,  from, rows, 0, I, to.dw + (transposed ? gate : gate * I), transposed ? 3 * H : I,
                    transposed};
        };
        if (before(s)) {
            du(0, 0, 2 * H), dw(0, 0, 3 * H);
            if (to.du != nullptr) list[n++] = {Right::ring, 2 * H, H, product(s), H, to.du + 2 * H * H, H, false};
        } else if (s.normed) {
            du(0, H, 3 * H), dw(0, 4 * H, 3 * H);
        } else if (units == H) {
            du(0, H, 3 * H), dw(0, H, 2 * H), dw(2 * H, 0, H);
        } else {
            for (int64_t g = 0; g < 3; ++g) {
                du(g * H + begin, (g + 1) * H + begin, units);
                dw(g * H + begin, (g == 2 ? 0 : g + 1) * H + begin, units);
            }
        }
        return n;
    }
    static void biases(const RecurrentSizes& s, const T* total, T* const* db) {
        const int64_t H = s.hidden;
        for (int i = 0; i < 2; ++i) {
            if (db[i] == nullptr) continue;
            if (before(s)) {
                copy(db[i], total, 3 * H);
                continue;
            }
            copy(db[i], total + H, 2 * H);
            copy(db[i] + 2 * H, total + (i == 0 ? 0 : 3 * H), H);
        }
    }
    void prepare(const RecurrentSizes& s, const RecurrentWeights<T>& weights) const { pack_last(s, weights, false); }

    void differentiate(const RecurrentSizes& s, const RecurrentBackward<T>& call, const BackRows<T>& rows,
                       int64_t begin, int64_t end, const Sums<T>& sums) const {
        const int64_t H = s.hidden;
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t b = rows.batch[r], t = rows.time[r];
            T* const ring = rows.ring[r];
            slope(rows.saved[r], rows.h[r], rows.carry_h[r], rows.dout[r], s.zoned_h ? at(call.zone_h, b, t) : nullptr,
                  before(s), ring, H, begin, end);
            if (!s.normed) continue;
            const T *const row = rows.saved[r], *const m = row + moments(s);
            T* const of_x = ring + x_from(s);
            copy(of_x, ring + H, 2 * H), copy(of_x + 2 * H, ring, H);
            denormalise(row + raw_x(s), Moments<T>{m[0], m[1]}, call.weights.gain_x, of_x, of_x, sums.dgain_x,
                        sums.dshift_x, 3 * H);
            denormalise(row + raw_h(s), Moments<T>{m[2], m[3]}, call.weights.gain_h, ring + H, ring + H, sums.dgain_h,
                        sums.dshift_h, 3 * H);
        }
        if (before(s)) reset_back(s, call, rows);
    }

    // Gradients before the nonlinearities for units [begin, end); the state's own part stays in the carry. With the
    // reset gate before the product dr is still open.
    static void slope(const T* row, const T* h, T* carry, const T* dout, const T* zone, bool before, T* ring, int64_t H,
                      int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; u += lanes<T>) {
            const int64_t left = end - u;
            const vec<T> r = load_upto(row + u, left), z = load_upto(row + H + u, left),
                         n = load_upto(row + 2 * H + u, left);
            vec<T> d = load_upto(carry + u, left), kept{};
            if (dout != nullptr) d += load_upto(dout + u, left);
            if (zone != nullptr) {
                const vec<T> share = load_upto(zone + u, left);
                kept = share * d;
                d = (T(1) - share) * d;
            }
            const vec<T> dn = d * (T(1) - z) * (T(1) - n * n), dz = d * (load_upto(h + u, left) - n) * (z * (T(1) - z));
            store_upto(carry + u, kept + d * z, left);
            if (before) {
                store_upto(ring + H + u, dz, left), store_upto(ring + 2 * H + u, dn, left);
                continue;
            }
            store_upto(ring + u, dn, left), store_upto(ring + 2 * H + u, dz, left);
            store_upto(ring + H + u, dn * load_upto(row + 3 * H + u, left) * (r * (T(1) - r)), left);
            store_upto(ring + 3 * H + u, dn * r, left);
        }
    }

    // dr by way of r ⊙ h, whose gradient is U_nᵀ dn; and that product's part of dh.
    void reset_back(const RecurrentSizes& s, const RecurrentBackward<T>& call, const BackRows<T>& rows) const {
        const int64_t H = s.hidden;
        const T* left[pair_block];
        const Panels<T> panels(H);
        for (int64_t done = 0; done < rows.count; done += pair_block) {
            const int64_t n = smaller(pair_block, rows.count - done);
            for (int64_t k = 0; k < n; ++k) left[k] = rows.ring[done + k] + 2 * H;
            const Segment<T> segment[] = {{left, packed, H}};
            multiply_rows(panels, 0, panels.count, n, segment, Begin::at_bias, static_cast<const T*>(nullptr),
                          product_rows + rows.place + done, 0);
        }
        for (int64_t k = 0; k < rows.count; ++k) {
            const T *const d = product_rows[rows.place + k], *const h = rows.h[k], *const gate = rows.saved[k];
            const T* const mask = s.masked ? call.mask + rows.batch[k] * H : nullptr;
            T* const ring = rows.ring[k];
            for (int64_t u = 0; u < H; ++u) {
                const T r = gate[u], seen = mask != nullptr ? mask[u] * h[u] : h[u];
                ring[u] = d[u] * seen * (r * (T(1) - r));
                ring[product(s) + u] = r * seen;
                rows.carry_h[k][u] += r * d[u] * (mask != nullptr ? mask[u] : T(1));
            }
        }
    }
};

#define RNNKIT_CELL Gru
#define RNNKIT_NAME(what) gru_##what
#include "../recurrent_define.h"

}  // namespace rnnkit::RNNKIT_FAMILY
