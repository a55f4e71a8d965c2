// Compiled once per CPU family, with RNNKIT_FAMILY set to its name. README.md has the equations and the measurements.
#include "lstm.h"

#include "../recurrent_backward.h"
#include "../recurrent_forward.h"
#include "../recurrent_int8.h"
#include "../recurrent_norm.h"

namespace rnnkit::RNNKIT_FAMILY {

// The order of the gates along the rows of W and U, and in saved and gate_grads rows.
constexpr int64_t gate_i = 0, gate_f = 1, gate_g = 2, gate_o = 3, lstm_gates = 4;
// The rows of the peephole weights.
constexpr int64_t peephole_i = 0, peephole_f = 1, peephole_o = 2;
// The moments at the end of a saved row: two numbers each, of W x, of U h and of c̃.
constexpr int64_t moments_x = 0, moments_h = 2, moments_c = 4, lstm_moments = 6;

// Where the pieces lie in a saved row and in a gate_grads row.
struct LstmLayout {
    int64_t H, S;
    bool normed, projected, masked;

    explicit LstmLayout(const RecurrentProblem& problem)
        : H(problem.hidden),
          S(problem.state),
          normed(problem.normed),
          projected(problem.state != problem.hidden),
          masked(problem.masked) {}

    // A saved row: the gates, then
    int64_t c() const { return lstm_gates * H; }
    int64_t raw_h() const { return c() + H; }                   // U h
    int64_t raw_x() const { return raw_h() + lstm_gates * H; }  // W x
    int64_t moments() const { return raw_x() + lstm_gates * H; }
    int64_t saved_width() const { return normed ? moments() + lstm_moments : raw_h(); }

    // A gate_grads row: the gradients of the gates, through W's normalisation where there is one; then
    int64_t through_u() const { return normed ? lstm_gates * H : 0; }    // those through U's normalisation
    int64_t dprojected() const { return through_u() + lstm_gates * H; }  // dh of the projection's output
    int64_t output() const { return dprojected() + S; }                  // o ⊙ tanh(c), the projection's input
    int64_t recurrent() const { return projected ? output() + H : dprojected(); }  // m ⊙ h
    int64_t gate_grads_width() const { return recurrent() + (masked ? S : 0); }
};

// One number a unit of each gate, in a row.
template <class P>
struct LstmGates {
    P *i, *f, *g, *o;

    RNNKIT_INLINE LstmGates(P* row, int64_t H)
        : i(row + gate_i * H), f(row + gate_f * H), g(row + gate_g * H), o(row + gate_o * H) {}
};

template <class T>
struct Lstm {
    using Element = T;
    static constexpr int64_t gates = lstm_gates;
    static constexpr bool same_bias_grads = true;
    T* candidates;  // c̃ or o ⊙ tanh(c), by position
    T* projection;  // in panels
    T** candidate_rows;

    static bool is_projected(const RecurrentProblem& problem) { return problem.state != problem.hidden; }
    static bool units_independent(const RecurrentProblem& problem) {
        return !problem.masked && !problem.normed && !is_projected(problem);
    }
    static int64_t saved_width(const RecurrentProblem& problem) { return LstmLayout(problem).saved_width(); }
    static int64_t c_offset(const RecurrentProblem& problem) { return LstmLayout(problem).c(); }

    // Whether h needs a second pass over the units: the normalisation and the projection read a whole row.
    static bool has_two_passes(const RecurrentProblem& problem) { return problem.normed || is_projected(problem); }
    void allocate(Arena& arena, const RecurrentProblem& problem) {
        const int64_t B = problem.batch, H = problem.hidden, S = problem.state;
        candidates = arena.allocate<T>(has_two_passes(problem) ? B * H : 0);
        candidate_rows = arena.allocate<T*>(has_two_passes(problem) ? B : 0);
        const int64_t widest = S > H ? S : H;
        projection = arena.allocate<T>(is_projected(problem) ? Panels<T>(widest).padded() * widest : 0);
    }
    void set_candidate_rows(const RecurrentProblem& problem) const {
        if (has_two_passes(problem))
            for (int64_t p = 0; p < problem.batch; ++p) candidate_rows[p] = candidates + p * problem.hidden;
    }

    // --- forward -----------------------------------------------------------------------------------------------------

    static int weight_blocks(const RecurrentProblem& problem, Units units, WeightBlock* blocks) {
        const int64_t H = problem.hidden, all = lstm_gates * H;
        const LstmLayout layout(problem);
        if (problem.normed) {
            blocks[0] = {0, all, layout.raw_x(), true, false}, blocks[1] = {0, all, layout.raw_h(), false, true};
            return 2;
        }
        if (units.count() == H) return blocks[0] = {0, all, 0, true, true}, 1;
        for (int64_t gate = 0; gate < lstm_gates; ++gate)
            blocks[gate] = {gate * H + units.begin, units.count(), gate * H + units.begin, true, true};
        return lstm_gates;
    }

    void prepare_forward(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, T* bias) const {
        for (const T* one : weights.bias)
            if (one != nullptr) add(bias, one, lstm_gates * problem.hidden);
        set_candidate_rows(problem);
        if (weights.projection != nullptr)  // else the weights are no floats
            pack_panels(Panels<T>(problem.state), {weights.projection, problem.hidden, true}, problem.hidden,
                        projection);
    }

    template <class Own>
    void forward_step(const RecurrentProblem& problem, const RecurrentForward<T>& call, const ForwardRows<T>& rows,
                      const Own& own, const T* bias) const {
        const LstmLayout layout(problem);
        const RecurrentWeights<T>& weights = call.weights;
        const int64_t H = problem.hidden;
        own.multiply(problem, rows.products, rows.count, rows.x, rows.recurrent, bias, rows.saved);
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t b = rows.batch[r], t = rows.time[r];
            if (problem.normed) normalise_gates(layout, weights, bias, rows.saved[r]);
            const T* const zone_h = problem.zoned_h && !layout.projected ? at(call.zone_h, b, t) : nullptr;
            T* const candidate = has_two_passes(problem) ? candidate_rows[rows.position + r] : nullptr;
            const ForwardRow row{.saved = rows.saved[r],
                                 .c_before = rows.c[r],
                                 .h_before = rows.h[r],
                                 .zone_h = zone_h,
                                 .zone_c = problem.zoned_c ? at(call.zone_c, b, t) : nullptr,
                                 .candidate = candidate,
                                 .out = layout.projected ? candidate : rows.out[r]};
            gates_forward(row, weights.peephole, H, own.units);
            if (candidate != nullptr) output_forward(problem, weights, row);
        }
        if (!layout.projected) return;
        own.multiply_further(problem.state, H, projection, rows.count, candidate_rows + rows.position, {rows.out});
        for (int64_t r = 0; problem.zoned_h && r < rows.count; ++r)
            apply_zone(rows.out[r], rows.h[r], at(call.zone_h, rows.batch[r], rows.time[r]), problem.state);
    }

    // One row of a step. Pointers of options that are not used are null.
    struct ForwardRow {
        T* saved;  // the products, which gates and c replace
        const T *c_before, *h_before, *zone_h, *zone_c;
        T* candidate;  // gets c̃ where h needs a second pass
        T* out;        // gets h, or o ⊙ tanh(c) for the projection
    };

    // From W x and U h to the sum of both, normalised.
    static void normalise_gates(const LstmLayout& layout, const RecurrentWeights<T>& weights, const T* bias, T* row) {
        const int64_t n = lstm_gates * layout.H;
        T *const raw_x = row + layout.raw_x(), *const raw_h = row + layout.raw_h();
        const auto of_x = Moments<T>::of(raw_x, n), of_h = Moments<T>::of(raw_h, n);
        of_x.write(row + layout.moments() + moments_x), of_h.write(row + layout.moments() + moments_h);
        normalise_both<T>({raw_x, of_x, weights.gain_x}, {raw_h, of_h, weights.gain_h}, bias, row, n);
    }

    // h = zone ⊙ before + (1 − zone) ⊙ h
    static void apply_zone(T* h, const T* before, const T* zone, int64_t n) {
        for (int64_t i = 0; i < n; ++i) h[i] = zone[i] * before[i] + (T(1) - zone[i]) * h[i];
    }

    // From the products to gates and c, and to h or c̃, for these units.
    static void gates_forward(ForwardRow row, const T* peephole, int64_t H, Units units) {
        const LstmGates<T> gate(row.saved, H);
        T* const c_after = row.saved + lstm_gates * H;
        for (int64_t u = units.begin; u < units.end; u += lanes<T>) {
            const int64_t n = units.end - u;
            const vec<T> before = load_upto(row.c_before + u, n);
            vec<T> i = load_upto(gate.i + u, n), f = load_upto(gate.f + u, n), o = load_upto(gate.o + u, n);
            if (peephole != nullptr)
                i += load_upto(peephole + peephole_i * H + u, n) * before,
                    f += load_upto(peephole + peephole_f * H + u, n) * before;
            i = sigmoid<T>(i), f = sigmoid<T>(f);
            const vec<T> g = tanh<T>(load_upto(gate.g + u, n));
            const vec<T> candidate = f * before + i * g;
            if (peephole != nullptr) o += load_upto(peephole + peephole_o * H + u, n) * candidate;
            o = sigmoid<T>(o);
            vec<T> c = candidate;
            if (row.zone_c != nullptr) {
                const vec<T> zone = load_upto(row.zone_c + u, n);
                c = zone * before + (T(1) - zone) * candidate;
            }
            store_upto(gate.i + u, i, n), store_upto(gate.f + u, f, n);
            store_upto(gate.g + u, g, n), store_upto(gate.o + u, o, n);
            store_upto(c_after + u, c, n);
            if (row.candidate != nullptr) {
                store_upto(row.candidate + u, candidate, n);
                continue;
            }
            vec<T> h = o * tanh<T>(candidate);
            if (row.zone_h != nullptr) {
                const vec<T> zone = load_upto(row.zone_h + u, n);
                h = zone * load_upto(row.h_before + u, n) + (T(1) - zone) * h;
            }
            store_upto(row.out + u, h, n);
        }
    }

    // From c̃ to o ⊙ tanh(c̃), with c̃ normalised first where that is asked.
    static void output_forward(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, ForwardRow row) {
        const int64_t H = problem.hidden;
        const T* const output_gate = row.saved + gate_o * H;
        const Moments<T> m = problem.normed ? Moments<T>::of(row.candidate, H) : Moments<T>{};
        if (problem.normed) m.write(row.saved + LstmLayout(problem).moments() + moments_c);
        for (int64_t u = 0; u < H; u += lanes<T>) {
            const int64_t n = H - u;
            vec<T> c = load_upto(row.candidate + u, n);
            if (problem.normed)
                c = load_upto(weights.gain_c + u, n) * ((c - m.mean) * m.scale) + load_upto(weights.shift_c + u, n);
            vec<T> h = load_upto(output_gate + u, n) * tanh<T>(c);
            if (row.zone_h != nullptr) {
                const vec<T> zone = load_upto(row.zone_h + u, n);
                h = zone * load_upto(row.h_before + u, n) + (T(1) - zone) * h;
            }
            store_upto(row.out + u, h, n);
        }
    }

    // --- backward ----------------------------------------------------------------------------------------------------

    static int64_t gate_grads_width(const RecurrentProblem& problem) { return LstmLayout(problem).gate_grads_width(); }
    static int64_t bias_width(const RecurrentProblem& problem) { return lstm_gates * problem.hidden; }
    static int64_t recurrent_offset(const RecurrentProblem& problem) {
        return problem.masked ? LstmLayout(problem).recurrent() : -1;
    }
    static int64_t dx_offset(const RecurrentProblem&) { return 0; }
    static int64_t dh_offset(const RecurrentProblem& problem) { return LstmLayout(problem).through_u(); }
    static int64_t dh_depth(const RecurrentProblem& problem) { return lstm_gates * problem.hidden; }
    static bool adds_to_carry(const RecurrentProblem& problem) { return problem.zoned_h; }
    static void pack_w(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, const Panels<T>& panels,
                       int64_t panel, T* packed) {
        pack_panel(panels, panel, {weights.w, problem.input, false}, lstm_gates * problem.hidden, packed);
    }

    static int weight_sums(const RecurrentProblem& problem, const WeightGrads<T>& to, Units units, bool transposed,
                           WeightSum<T>* list) {
        using Right = typename WeightSum<T>::Right;
        const LstmLayout layout(problem);
        const int64_t H = problem.hidden, I = problem.input, S = problem.state;
        const bool all = units.count() == H;
        int n = 0;
        for (int64_t gate = 0; gate < (all ? 1 : lstm_gates); ++gate) {
            const int64_t from = gate * H + units.begin, rows = all ? lstm_gates * H : units.count();
            if (to.du != nullptr)
                list[n++] = {.right = Right::state,
                             .from = layout.through_u() + from,
                             .rows = rows,
                             .columns = S,
                             .to = to.du + from * S,
                             .stride = S};
            if (to.dw != nullptr)
                list[n++] = {.right = Right::x,
                             .from = from,
                             .rows = rows,
                             .columns = I,
                             .to = to.dw + (transposed ? from : from * I),
                             .stride = transposed ? lstm_gates * H : I,
                             .transposed = transposed};
        }
        if (to.dprojection != nullptr)
            list[n++] = {.right = Right::gate_grads,
                         .from = layout.dprojected(),
                         .rows = S,
                         .right_from = layout.output(),
                         .columns = H,
                         .to = to.dprojection,
                         .stride = H};
        return n;
    }
    static void write_biases(const RecurrentProblem& problem, const T* total, T* const* db) {
        for (int i = 0; i < 2; ++i)
            if (db[i] != nullptr) copy(db[i], total, lstm_gates * problem.hidden);
    }

    void prepare_backward(const RecurrentProblem& problem, const RecurrentWeights<T>& weights) const {
        set_candidate_rows(problem);
        if (is_projected(problem))
            pack_panels(Panels<T>(problem.hidden), {weights.projection, problem.hidden, false}, problem.state,
                        projection);
    }

    void backward_step(const RecurrentProblem& problem, const RecurrentBackward<T>& call, const BackwardRows<T>& rows,
                       Units units, const WeightGrads<T>& grads) const {
        const LstmLayout layout(problem);
        const RecurrentWeights<T>& weights = call.weights;
        const bool projected = layout.projected;
        if (projected) projection_backward(problem, call, rows);
        for (int64_t r = 0; r < rows.count; ++r) {
            const int64_t b = rows.batch[r], t = rows.time[r];
            T *const gate_grads = rows.gate_grads[r], *const candidate = has_two_passes(problem)
                                                                             ? candidate_rows[rows.position + r]
                                                                             : nullptr;
            const BackwardRow row{.saved = rows.saved[r],
                                  .c_before = rows.c[r],
                                  .dh = projected ? candidate : rows.carry_h[r],
                                  .dout = projected ? nullptr : rows.dout[r],
                                  .zone_h = problem.zoned_h && !projected ? at(call.zone_h, b, t) : nullptr,
                                  .carry_h = projected ? nullptr : rows.carry_h[r],
                                  .dcells = rows.dcells[r],
                                  .zone_c = problem.zoned_c ? at(call.zone_c, b, t) : nullptr,
                                  .carry_c = rows.carry_c[r],
                                  .candidate = candidate,
                                  .output = projected ? gate_grads + layout.output() : nullptr,
                                  .gate_grads = gate_grads};
            output_backward(problem, weights, row, grads, units);
            gates_backward(row, weights.peephole, grads.dpeephole, problem.hidden, units);
            if (problem.normed) norm_backward(layout, weights, row, grads);
        }
    }

    // One row of a step. Pointers of options that are not used are null.
    struct BackwardRow {
        const T *saved, *c_before;
        const T *dh, *dout;  // the gradient of h is their sum; with a projection dh is that of o ⊙ tanh(c̃)
        const T* zone_h;
        T* carry_h;  // with a zone gets the part of dh that goes to the old state
        const T *dcells, *zone_c;
        T* carry_c;
        T* candidate;  // with `normed` gets c̃
        T* output;     // gets o ⊙ tanh(c̃)
        T* gate_grads;
    };

    // The gradient of o ⊙ tanh(c̃) from that of the projected h. The old state's part of dh stays in carry_h.
    void projection_backward(const RecurrentProblem& problem, const RecurrentBackward<T>& call,
                             const BackwardRows<T>& rows) const {
        const LstmLayout layout(problem);
        for (int64_t r = 0; r < rows.count; ++r) {
            const T* const zone = problem.zoned_h ? at(call.zone_h, rows.batch[r], rows.time[r]) : nullptr;
            for (int64_t i = 0; i < problem.state; ++i) {
                const T d = rows.carry_h[r][i] + (rows.dout[r] != nullptr ? rows.dout[r][i] : T(0));
                rows.gate_grads[r][layout.dprojected() + i] = zone != nullptr ? (T(1) - zone[i]) * d : d;
                if (zone != nullptr) rows.carry_h[r][i] = zone[i] * d;
            }
        }
        const T* left[pair_block];
        const Panels<T> panels(problem.hidden);
        for (int64_t done = 0; done < rows.count; done += pair_block) {
            const int64_t n = smaller(pair_block, rows.count - done);
            for (int64_t r = 0; r < n; ++r) left[r] = rows.gate_grads[done + r] + layout.dprojected();
            const Segment<T> segment[] = {{left, projection, problem.state}};
            multiply_rows(panels, n, segment, {candidate_rows + rows.position + done});
        }
    }

    // From dh to the gradient before o's nonlinearity, and to that of c̃, which lies in the place of g's for now.
    static void output_backward(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, BackwardRow row,
                                const WeightGrads<T>& grads, Units units) {
        const int64_t H = problem.hidden;
        const LstmGates<const T> gate(row.saved, H);
        const LstmGates<T> d_gate(row.gate_grads, H);
        Moments<T> m{};
        if (problem.normed) m = Moments<T>::read(row.saved + LstmLayout(problem).moments() + moments_c);
        for (int64_t u = units.begin; u < units.end; u += lanes<T>) {
            const int64_t n = units.end - u;
            vec<T> d = load_upto(row.dh + u, n);
            if (row.dout != nullptr) d += load_upto(row.dout + u, n);
            if (row.zone_h != nullptr) {
                const vec<T> zone = load_upto(row.zone_h + u, n);
                store_upto(row.carry_h + u, zone * d, n);
                d = (T(1) - zone) * d;
            }
            const vec<T> c = load_upto(gate.f + u, n) * load_upto(row.c_before + u, n) +
                             load_upto(gate.i + u, n) * load_upto(gate.g + u, n);
            if (problem.normed) store_upto(row.candidate + u, c, n);  // dh, if it lay there, has been read
            const vec<T> seen = problem.normed ? load_upto(weights.gain_c + u, n) * ((c - m.mean) * m.scale) +
                                                     load_upto(weights.shift_c + u, n)
                                               : c;
            const vec<T> o = load_upto(gate.o + u, n), shown = tanh<T>(seen);
            const vec<T> d_o = d * shown * (o * (T(1) - o));
            vec<T> dc = d * o * (T(1) - shown * shown);
            if (row.output != nullptr) store_upto(row.output + u, o * shown, n);
            store_upto(d_gate.o + u, d_o, n);
            if (!problem.normed && weights.peephole != nullptr)
                dc += d_o * load_upto(weights.peephole + peephole_o * H + u, n);
            store_upto(d_gate.g + u, dc, n);
        }
        if (!problem.normed) return;
        normalise_backward<T>({row.candidate, m, weights.gain_c}, d_gate.g, d_gate.g, grads.dgain_c, grads.dshift_c, H);
        for (int64_t u = 0; weights.peephole != nullptr && u < H; ++u)
            d_gate.g[u] += d_gate.o[u] * weights.peephole[peephole_o * H + u];
    }

    // From the gradient of c̃ to those before the other gates' nonlinearities, and to the gradient of c before the step.
    static void gates_backward(BackwardRow row, const T* peephole, T* dpeephole, int64_t H, Units units) {
        const LstmGates<const T> gate(row.saved, H);
        const LstmGates<T> d_gate(row.gate_grads, H);
        for (int64_t u = units.begin; u < units.end; u += lanes<T>) {
            const int64_t n = units.end - u;
            const vec<T> i = load_upto(gate.i + u, n), f = load_upto(gate.f + u, n), g = load_upto(gate.g + u, n);
            const vec<T> before = load_upto(row.c_before + u, n);
            vec<T> dc = load_upto(row.carry_c + u, n), d = load_upto(d_gate.g + u, n);
            if (row.dcells != nullptr) dc += load_upto(row.dcells + u, n);
            vec<T> carry{};
            if (row.zone_c != nullptr) {
                const vec<T> zone = load_upto(row.zone_c + u, n);
                carry = zone * dc;
                dc = (T(1) - zone) * dc;
            }
            d += dc;
            const vec<T> di = d * g * (i * (T(1) - i)), df = d * before * (f * (T(1) - f));
            carry += d * f;
            if (peephole != nullptr)
                carry +=
                    di * load_upto(peephole + peephole_i * H + u, n) + df * load_upto(peephole + peephole_f * H + u, n);
            if (dpeephole != nullptr) {
                const vec<T> candidate = f * before + i * g;
                const auto sum = [&](int64_t which, vec<T> v) __attribute__((always_inline)) {
                    T* const to = dpeephole + which * H + u;
                    store_upto(to, load_upto(to, n) + v, n);
                };
                sum(peephole_i, di * before), sum(peephole_f, df * before);
                sum(peephole_o, load_upto(d_gate.o + u, n) * candidate);
            }
            store_upto(d_gate.i + u, di, n), store_upto(d_gate.f + u, df, n);
            store_upto(d_gate.g + u, d * i * (T(1) - g * g), n);
            store_upto(row.carry_c + u, carry, n);
        }
    }

    // The gradients of the gates through the normalisations of U h and of W x.
    static void norm_backward(const LstmLayout& layout, const RecurrentWeights<T>& weights, BackwardRow row,
                              const WeightGrads<T>& grads) {
        const int64_t n = lstm_gates * layout.H;
        const T* const moments = row.saved + layout.moments();
        const auto of_x = Moments<T>::read(moments + moments_x), of_h = Moments<T>::read(moments + moments_h);
        normalise_backward<T>({row.saved + layout.raw_h(), of_h, weights.gain_h}, row.gate_grads,
                              row.gate_grads + layout.through_u(), grads.dgain_h, nullptr, n);
        normalise_backward<T>({row.saved + layout.raw_x(), of_x, weights.gain_x}, row.gate_grads, row.gate_grads,
                              grads.dgain_x, grads.dshift_x, n);
    }
};

#define RNNKIT_CELL Lstm
#define RNNKIT_NAME(what) lstm_##what
#include "../recurrent_define.h"

}  // namespace rnnkit::RNNKIT_FAMILY
