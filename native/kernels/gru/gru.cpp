// Compiled once per CPU family, with RNNKIT_FAMILY set to its name. README.md has the equations and the measurements.
#include "gru.h"

#include "../recurrent_backward.h"
#include "../recurrent_forward.h"
#include "../recurrent_int8.h"
#include "../recurrent_norm.h"

namespace rnnkit::RNNKIT_FAMILY {

// The order of the gates along the rows of W and U, and in saved rows, where q = U_n h + b_n follows.
constexpr int64_t gate_r = 0, gate_z = 1, gate_n = 2, gru_gates = 3;
constexpr int64_t saved_q = 3, gru_saved = 4;
// The moments at the end of a saved row: two numbers each, of W x and of U h.
constexpr int64_t moments_x = 0, moments_h = 2, gru_moments = 4;
// The order of the gradients in a gate_grads row: W takes the first three, U the last three.
constexpr int64_t grads_n = 0, grads_r = 1, grads_z = 2, grads_q = 3, gru_grads = 4;
// With `reset_before` they have the order of the gates, and r ⊙ h follows.
constexpr int64_t reset_state = 3;

// Where the pieces lie in a saved row and in a gate_grads row.
struct GruLayout {
    int64_t H;
    bool normed, masked, reset_before;

    explicit GruLayout(const RecurrentProblem& problem)
        : H(problem.hidden),
          normed(problem.normed),
          masked(problem.masked),
          reset_before(problem.variant == Variant::reset_before) {}

    // A saved row: the gates and q, then
    int64_t raw_h() const { return gru_saved * H; }            // U h
    int64_t raw_x() const { return raw_h() + gru_gates * H; }  // W x
    int64_t moments() const { return raw_x() + gru_gates * H; }
    int64_t saved_width() const { return normed ? moments() + gru_moments : raw_h(); }

    // A gate_grads row: its four pieces, with `normed` the last three through U's normalisation; then with `normed`
    // those of r, z and n through W's, and
    int64_t through_w() const { return gru_grads * H; }
    int64_t recurrent() const { return through_w() + (normed ? gru_gates * H : 0); }  // m ⊙ h
    int64_t gate_grads_width() const { return recurrent() + (masked ? H : 0); }
};

template <class T>
struct Gru {
    using Element = T;
    static constexpr int64_t gates = gru_gates;
    static constexpr bool same_bias_grads = false;
    // With `reset_before`:
    T* packed_u_n;  // U_n, in panels
    T* products;    // r ⊙ h, or its gradient, by position
    T** product_rows;

    static bool is_reset_before(const RecurrentProblem& problem) { return problem.variant == Variant::reset_before; }
    static bool units_independent(const RecurrentProblem& problem) {
        return !problem.masked && !problem.normed && !is_reset_before(problem);
    }
    static int64_t saved_width(const RecurrentProblem& problem) { return GruLayout(problem).saved_width(); }
    static int64_t c_offset(const RecurrentProblem&) { return -1; }

    void allocate(Arena& arena, const RecurrentProblem& problem) {
        const bool used = is_reset_before(problem);
        const int64_t B = problem.batch, H = problem.hidden;
        packed_u_n = arena.allocate<T>(used ? Panels<T>(H).padded() * H : 0);
        products = arena.allocate<T>(used ? B * H : 0);
        product_rows = arena.allocate<T*>(used ? B : 0);
    }
    // U_n for the product with r ⊙ h; transposed for its gradient.
    void prepare_reset(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, bool transposed) const {
        if (!is_reset_before(problem)) return;
        const int64_t H = problem.hidden;
        if (weights.u != nullptr)  // else the weights are no floats
            pack_panels(Panels<T>(H), {weights.u + gate_n * H * H, H, transposed}, H, packed_u_n);
        for (int64_t p = 0; p < problem.batch; ++p) product_rows[p] = products + p * H;
    }

    // --- forward -----------------------------------------------------------------------------------------------------

    static int weight_blocks(const RecurrentProblem& problem, Units units, WeightBlock* blocks) {
        const int64_t H = problem.hidden;
        const GruLayout layout(problem);
        if (problem.normed) {
            blocks[0] = {0, gru_gates * H, layout.raw_x(), true, false};
            blocks[1] = {0, gru_gates * H, layout.raw_h(), false, true};
            return 2;
        }
        int count = 0;
        // Rows of a gate's weights, summed in a piece of the work row.
        const auto block = [&](int64_t gate, int64_t piece, int64_t rows, bool with_x, bool with_h) {
            blocks[count++] = {gate * H + units.begin, rows, piece * H + units.begin, with_x, with_h};
        };
        if (units.count() == H) {
            block(gate_r, gate_r, 2 * H, true, true);  // r and z at once
        } else {
            block(gate_r, gate_r, units.count(), true, true);
            block(gate_z, gate_z, units.count(), true, true);
        }
        block(gate_n, gate_n, units.count(), true, false);
        if (!layout.reset_before) block(gate_n, saved_q, units.count(), false, true);
        return count;
    }

    void prepare_forward(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, T* bias) const {
        const int64_t H = problem.hidden;
        prepare_reset(problem, weights, true);
        const T *const of_x = weights.bias[0], *const of_h = weights.bias[1];
        if (of_x != nullptr) add(bias, of_x, gru_gates * H);
        if (of_h == nullptr) return;
        add(bias, of_h, 2 * H);  // r and z
        add(bias + (is_reset_before(problem) ? gate_n : saved_q) * H, of_h + gate_n * H, H);
    }

    template <class Own>
    void forward_step(const RecurrentProblem& problem, const RecurrentForward<T>& call, const ForwardRows<T>& rows,
                      const Own& own, const T* bias) const {
        const int64_t H = problem.hidden;
        const GruLayout layout(problem);
        own.multiply(problem, rows.products, rows.count, rows.x, rows.recurrent, bias, rows.saved);
        if (layout.reset_before) {
            reset_forward(problem, rows);
            own.multiply_further(H, H, packed_u_n, rows.count, product_rows + rows.position,
                                 {rows.saved, gate_n * H, nullptr, true});
        }
        for (int64_t r = 0; r < rows.count; ++r) {
            if (problem.normed) normalise_gates(layout, call.weights, bias, rows.saved[r]);
            const T* const zone = problem.zoned_h ? at(call.zone_h, rows.batch[r], rows.time[r]) : nullptr;
            gates_forward({rows.saved[r], rows.h[r], zone, rows.out[r]}, layout.reset_before, H, own.units);
        }
    }

    // One row of a step; zone is null where there is none.
    struct ForwardRow {
        T* saved;  // the products, which the gates replace
        const T *h_before, *zone;
        T* out;
    };

    // From W x and U h to the products' normalised sums, and to q.
    static void normalise_gates(const GruLayout& layout, const RecurrentWeights<T>& weights, const T* bias, T* row) {
        const int64_t H = layout.H;
        const T *const raw_x = row + layout.raw_x(), *const raw_h = row + layout.raw_h();
        const NormInput<T> x{raw_x, Moments<T>::of(raw_x, gru_gates * H), weights.gain_x};
        const NormInput<T> h{raw_h, Moments<T>::of(raw_h, gru_gates * H), weights.gain_h};
        x.moments.write(row + layout.moments() + moments_x), h.moments.write(row + layout.moments() + moments_h);
        normalise_both(x, h, bias, row, 2 * H);  // r and z
        normalise(x.from(gate_n * H), bias + gate_n * H, row + gate_n * H, H);
        normalise(h.from(gate_n * H), bias + saved_q * H, row + saved_q * H, H);
    }

    // r and r ⊙ h, which U_n multiplies with `reset_before`.
    void reset_forward(const RecurrentProblem& problem, const ForwardRows<T>& rows) const {
        for (int64_t k = 0; k < rows.count; ++k) {
            T* const reset = rows.saved[k] + gate_r * problem.hidden;
            for (int64_t u = 0; u < problem.hidden; u += lanes<T>) {
                const int64_t n = problem.hidden - u;
                const vec<T> r = sigmoid<T>(load_upto(reset + u, n));
                store_upto(reset + u, r, n);
                store_upto(product_rows[rows.position + k] + u, r * load_upto(rows.recurrent[k] + u, n), n);
            }
        }
    }

    // From the products to gates and h, for these units. `has_r`: r is computed, and n has its product.
    static void gates_forward(ForwardRow row, bool has_r, int64_t H, Units units) {
        T *const r_row = row.saved + gate_r * H, *const z_row = row.saved + gate_z * H;
        T *const n_row = row.saved + gate_n * H, *const q_row = row.saved + saved_q * H;
        for (int64_t u = units.begin; u < units.end; u += lanes<T>) {
            const int64_t left = units.end - u;
            const vec<T> z = sigmoid<T>(load_upto(z_row + u, left)), before = load_upto(row.h_before + u, left);
            vec<T> n = load_upto(n_row + u, left);
            if (!has_r) {
                const vec<T> r = sigmoid<T>(load_upto(r_row + u, left));
                n += r * load_upto(q_row + u, left);
                store_upto(r_row + u, r, left);
            }
            n = tanh<T>(n);
            vec<T> h = n + z * (before - n);
            if (row.zone != nullptr) {
                const vec<T> zone = load_upto(row.zone + u, left);
                h = zone * before + (T(1) - zone) * h;
            }
            store_upto(z_row + u, z, left), store_upto(n_row + u, n, left);
            store_upto(row.out + u, h, left);
        }
    }

    // --- backward ----------------------------------------------------------------------------------------------------

    static int64_t gate_grads_width(const RecurrentProblem& problem) { return GruLayout(problem).gate_grads_width(); }
    static int64_t bias_width(const RecurrentProblem& problem) {
        return (is_reset_before(problem) ? gru_gates : gru_grads) * problem.hidden;
    }
    static int64_t recurrent_offset(const RecurrentProblem& problem) {
        return problem.masked ? GruLayout(problem).recurrent() : -1;
    }
    static int64_t dx_offset(const RecurrentProblem& problem) {
        return problem.normed ? GruLayout(problem).through_w() : 0;
    }
    static int64_t dh_offset(const RecurrentProblem& problem) {
        return is_reset_before(problem) ? 0 : grads_r * problem.hidden;
    }
    static int64_t dh_depth(const RecurrentProblem& problem) {
        return (is_reset_before(problem) ? 2 : gru_gates) * problem.hidden;
    }
    static bool adds_to_carry(const RecurrentProblem&) { return true; }
    static void pack_w(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, const Panels<T>& panels,
                       int64_t panel, T* packed) {
        const int64_t H = problem.hidden, I = problem.input, width = panels.width(panel) * lanes<T>;
        if (is_reset_before(problem) || problem.normed)
            return pack_panel(panels, panel, {weights.w, I, false}, gru_gates * H, packed);
        pack_panel(panels, panel, {weights.w + gate_n * H * I, I, false}, H, packed);  // n, then
        pack_panel(panels, panel, {weights.w, I, false}, 2 * H, packed + H * width);   // r and z
    }

    static int weight_sums(const RecurrentProblem& problem, const WeightGrads<T>& to, Units units, bool transposed,
                           WeightSum<T>* list) {
        using Right = typename WeightSum<T>::Right;
        const int64_t H = problem.hidden, I = problem.input;
        int count = 0;
        // Sums for rows of U and of W, from their number `row` on; the left side begins at `from` of a gate_grads row.
        const auto du = [&](int64_t row, int64_t from, int64_t rows) {
            if (to.du != nullptr)
                list[count++] = {.right = Right::state,
                                 .from = from,
                                 .rows = rows,
                                 .columns = H,
                                 .to = to.du + row * H,
                                 .stride = H};
        };
        const auto dw = [&](int64_t row, int64_t from, int64_t rows) {
            if (to.dw != nullptr)
                list[count++] = {.right = Right::x,
                                 .from = from,
                                 .rows = rows,
                                 .columns = I,
                                 .to = to.dw + (transposed ? row : row * I),
                                 .stride = transposed ? gru_gates * H : I,
                                 .transposed = transposed};
        };
        if (is_reset_before(problem)) {
            du(0, 0, 2 * H), dw(0, 0, gru_gates * H);
            if (to.du != nullptr)
                list[count++] = {.right = Right::gate_grads,
                                 .from = gate_n * H,
                                 .rows = H,
                                 .right_from = reset_state * H,
                                 .columns = H,
                                 .to = to.du + gate_n * H * H,
                                 .stride = H};
        } else if (problem.normed) {
            du(0, grads_r * H, gru_gates * H), dw(0, GruLayout(problem).through_w(), gru_gates * H);
        } else if (units.count() == H) {
            du(0, grads_r * H, gru_gates * H), dw(0, grads_r * H, 2 * H), dw(gate_n * H, grads_n * H, H);
        } else {
            constexpr int64_t from_u[] = {grads_r, grads_z, grads_q}, from_w[] = {grads_r, grads_z, grads_n};
            for (int64_t gate = 0; gate < gru_gates; ++gate) {
                du(gate * H + units.begin, from_u[gate] * H + units.begin, units.count());
                dw(gate * H + units.begin, from_w[gate] * H + units.begin, units.count());
            }
        }
        return count;
    }
    static void write_biases(const RecurrentProblem& problem, const T* total, T* const* db) {
        const int64_t H = problem.hidden;
        for (int i = 0; i < 2; ++i) {
            if (db[i] == nullptr) continue;
            if (is_reset_before(problem)) {
                copy(db[i], total, gru_gates * H);
                continue;
            }
            copy(db[i], total + grads_r * H, 2 * H);  // r and z
            copy(db[i] + gate_n * H, total + (i == 0 ? grads_n : grads_q) * H, H);
        }
    }
    void prepare_backward(const RecurrentProblem& problem, const RecurrentWeights<T>& weights) const {
        prepare_reset(problem, weights, false);
    }

    void backward_step(const RecurrentProblem& problem, const RecurrentBackward<T>& call, const BackwardRows<T>& rows,
                       Units units, const WeightGrads<T>& grads) const {
        const GruLayout layout(problem);
        for (int64_t r = 0; r < rows.count; ++r) {
            const BackwardRow row{.saved = rows.saved[r],
                                  .h_before = rows.h[r],
                                  .dout = rows.dout[r],
                                  .zone = problem.zoned_h ? at(call.zone_h, rows.batch[r], rows.time[r]) : nullptr,
                                  .carry = rows.carry_h[r],
                                  .gate_grads = rows.gate_grads[r]};
            gates_backward(row, layout.reset_before, problem.hidden, units);
            if (problem.normed) norm_backward(layout, call.weights, row, grads);
        }
        if (layout.reset_before) reset_backward(problem, call, rows);
    }

    // One row of a step. Pointers of options that are not used are null.
    struct BackwardRow {
        const T *saved, *h_before, *dout, *zone;
        T* carry;  // the gradient of h from later steps; gets the part of dh that goes to the old state
        T* gate_grads;
    };

    // Gradients before the nonlinearities, for these units. With `reset_before` all but that of r.
    static void gates_backward(BackwardRow row, bool reset_before, int64_t H, Units units) {
        const T *const r_row = row.saved + gate_r * H, *const z_row = row.saved + gate_z * H;
        const T *const n_row = row.saved + gate_n * H, *const q_row = row.saved + saved_q * H;
        T* const d = row.gate_grads;
        for (int64_t u = units.begin; u < units.end; u += lanes<T>) {
            const int64_t left = units.end - u;
            const vec<T> r = load_upto(r_row + u, left), z = load_upto(z_row + u, left), n = load_upto(n_row + u, left);
            vec<T> dh = load_upto(row.carry + u, left), carry{};
            if (row.dout != nullptr) dh += load_upto(row.dout + u, left);
            if (row.zone != nullptr) {
                const vec<T> zone = load_upto(row.zone + u, left);
                carry = zone * dh;
                dh = (T(1) - zone) * dh;
            }
            const vec<T> dn = dh * (T(1) - z) * (T(1) - n * n);
            const vec<T> dz = dh * (load_upto(row.h_before + u, left) - n) * (z * (T(1) - z));
            store_upto(row.carry + u, carry + dh * z, left);
            if (reset_before) {
                store_upto(d + gate_z * H + u, dz, left), store_upto(d + gate_n * H + u, dn, left);
                continue;
            }
            store_upto(d + grads_n * H + u, dn, left), store_upto(d + grads_z * H + u, dz, left);
            store_upto(d + grads_r * H + u, dn * load_upto(q_row + u, left) * (r * (T(1) - r)), left);
            store_upto(d + grads_q * H + u, dn * r, left);
        }
    }

    // The gradients of the gates through the normalisations of W x and of U h.
    static void norm_backward(const GruLayout& layout, const RecurrentWeights<T>& weights, BackwardRow row,
                              const WeightGrads<T>& grads) {
        const int64_t H = layout.H, n = gru_gates * H;
        const T* const moments = row.saved + layout.moments();
        const auto of_x = Moments<T>::read(moments + moments_x), of_h = Moments<T>::read(moments + moments_h);
        T *const through_w = row.gate_grads + layout.through_w(), *const through_u = row.gate_grads + grads_r * H;
        copy(through_w, through_u, 2 * H), copy(through_w + gate_n * H, row.gate_grads + grads_n * H, H);
        normalise_backward<T>({row.saved + layout.raw_x(), of_x, weights.gain_x}, through_w, through_w, grads.dgain_x,
                              grads.dshift_x, n);
        normalise_backward<T>({row.saved + layout.raw_h(), of_h, weights.gain_h}, through_u, through_u, grads.dgain_h,
                              grads.dshift_h, n);
    }

    // With `reset_before`: dr from the gradient of r ⊙ h, which is U_nᵀ dn; and that product's part of dh.
    void reset_backward(const RecurrentProblem& problem, const RecurrentBackward<T>& call,
                        const BackwardRows<T>& rows) const {
        const int64_t H = problem.hidden;
        const T* left[pair_block];
        for (int64_t done = 0; done < rows.count; done += pair_block) {
            const int64_t n = smaller(pair_block, rows.count - done);
            for (int64_t k = 0; k < n; ++k) left[k] = rows.gate_grads[done + k] + gate_n * H;
            const Segment<T> segment[] = {{left, packed_u_n, H}};
            multiply_rows(Panels<T>(H), n, segment, {product_rows + rows.position + done});
        }
        for (int64_t k = 0; k < rows.count; ++k) {
            const T *const d = product_rows[rows.position + k], *const h = rows.h[k];
            const T* const reset = rows.saved[k] + gate_r * H;
            const T* const mask = problem.masked ? call.mask + rows.batch[k] * H : nullptr;
            T* const gate_grads = rows.gate_grads[k];
            for (int64_t u = 0; u < H; ++u) {
                const T r = reset[u], seen = mask != nullptr ? mask[u] * h[u] : h[u];
                gate_grads[gate_r * H + u] = d[u] * seen * (r * (T(1) - r));
                gate_grads[reset_state * H + u] = r * seen;
                rows.carry_h[k][u] += r * d[u] * (mask != nullptr ? mask[u] : T(1));
            }
        }
    }
};

#define RNNKIT_CELL Gru
#define RNNKIT_NAME(what) gru_##what
#include "../recurrent_define.h"

}  // namespace rnnkit::RNNKIT_FAMILY
