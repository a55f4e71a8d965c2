// Compiled once per CPU family, with RNNKIT_FAMILY set to its name. README.md has the equations and the measurements.
#include "simple_rnn.h"

#include "../recurrent_backward.h"
#include "../recurrent_forward.h"
#include "../recurrent_int8.h"
#include "../recurrent_norm.h"

namespace rnnkit::RNNKIT_FAMILY {

// The moments at the end of a saved row: two numbers each, of W x and of U h.
constexpr int64_t moments_x = 0, moments_h = 2, simple_rnn_moments = 4;

// Where the pieces lie in a saved row and in a gate_grads row.
struct SimpleRnnLayout {
    int64_t H;
    bool normed, zoned, masked;

    explicit SimpleRnnLayout(const RecurrentProblem& problem)
        : H(problem.hidden), normed(problem.normed), zoned(problem.zoned_h), masked(problem.masked) {}

    // A saved row: σ(...), where a zone or the normalisation needs it, then
    int64_t raw_h() const { return H; }            // U h
    int64_t raw_x() const { return raw_h() + H; }  // W x
    int64_t moments() const { return raw_x() + H; }
    int64_t saved_width() const { return normed ? moments() + simple_rnn_moments : zoned ? H : 0; }

    // A gate_grads row: the gradient before σ, through W's normalisation where there is one, then
    int64_t through_u() const { return normed ? H : 0; }   // that through U's normalisation
    int64_t recurrent() const { return through_u() + H; }  // m ⊙ h
    int64_t gate_grads_width() const { return recurrent() + (masked ? H : 0); }
};

template <class T>
struct SimpleRnn {
    using Element = T;
    static constexpr int64_t gates = 1;
    static constexpr bool same_bias_grads = true;

    static bool units_independent(const RecurrentProblem& problem) { return !problem.masked && !problem.normed; }
    static int64_t saved_width(const RecurrentProblem& problem) { return SimpleRnnLayout(problem).saved_width(); }
    static int64_t c_offset(const RecurrentProblem&) { return -1; }
    void allocate(Arena&, const RecurrentProblem&) {}

    // --- forward -----------------------------------------------------------------------------------------------------

    static int weight_blocks(const RecurrentProblem& problem, Units units, WeightBlock* blocks) {
        if (!problem.normed) return blocks[0] = {units.begin, units.count(), units.begin, true, true}, 1;
        const SimpleRnnLayout layout(problem);
        blocks[0] = {0, problem.hidden, layout.raw_x(), true, false};
        blocks[1] = {0, problem.hidden, layout.raw_h(), false, true};
        return 2;
    }

    void prepare_forward(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, T* bias) const {
        for (const T* one : weights.bias)
            if (one != nullptr) add(bias, one, problem.hidden);
    }

    template <class Own>
    void forward_step(const RecurrentProblem& problem, const RecurrentForward<T>& call, const ForwardRows<T>& rows,
                      const Own& own, const T* bias) const {
        // Without a saved row the products go straight to the output.
        T* const* const work = saved_width(problem) > 0 ? rows.saved : rows.out;
        own.multiply(problem, rows.products, rows.count, rows.x, rows.recurrent, bias, work);
        for (int64_t r = 0; r < rows.count; ++r) {
            T* const row = work[r];
            if (problem.normed) normalise_products(problem, call.weights, bias, row);
            activate(problem.variant, row, own.units);
            if (problem.zoned_h) {
                const T *const zone = at(call.zone_h, rows.batch[r], rows.time[r]), *const before = rows.h[r];
                for (int64_t i = own.units.begin; i < own.units.end; ++i)
                    rows.out[r][i] = zone[i] * before[i] + (T(1) - zone[i]) * row[i];
            } else if (problem.normed) {
                copy(rows.out[r], row, problem.hidden);
            }
        }
    }

    // From W x and U h to the sum of both, normalised.
    static void normalise_products(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, const T* bias,
                                   T* row) {
        const SimpleRnnLayout layout(problem);
        const int64_t H = problem.hidden;
        T *const raw_x = row + layout.raw_x(), *const raw_h = row + layout.raw_h();
        const auto of_x = Moments<T>::of(raw_x, H), of_h = Moments<T>::of(raw_h, H);
        of_x.write(row + layout.moments() + moments_x), of_h.write(row + layout.moments() + moments_h);
        normalise_both<T>({raw_x, of_x, weights.gain_x}, {raw_h, of_h, weights.gain_h}, bias, row, H);
    }

    // σ in place. NaN stays NaN.
    static void activate(Variant variant, T* row, Units units) {
        const auto each = [&](auto&& f) __attribute__((always_inline)) {
            for (int64_t i = units.begin; i < units.end; i += lanes<T>)
                store_upto(row + i, f(load_upto(row + i, units.end - i)), units.end - i);
        };
        if (variant == Variant::relu)
            each([](vec<T> v) __attribute__((always_inline)) { return v < T(0) ? vec<T>{} : v; });
        else if (variant == Variant::tanh)
            each([](vec<T> v) __attribute__((always_inline)) { return tanh<T>(v); });
        else
            each([](vec<T> v) __attribute__((always_inline)) { return sigmoid<T>(v); });
    }

    // --- backward ----------------------------------------------------------------------------------------------------

    static int64_t gate_grads_width(const RecurrentProblem& problem) {
        return SimpleRnnLayout(problem).gate_grads_width();
    }
    static int64_t bias_width(const RecurrentProblem& problem) { return problem.hidden; }
    static int64_t recurrent_offset(const RecurrentProblem& problem) {
        return problem.masked ? SimpleRnnLayout(problem).recurrent() : -1;
    }
    static int64_t dx_offset(const RecurrentProblem&) { return 0; }
    static int64_t dh_offset(const RecurrentProblem& problem) { return SimpleRnnLayout(problem).through_u(); }
    static int64_t dh_depth(const RecurrentProblem& problem) { return problem.hidden; }
    static bool adds_to_carry(const RecurrentProblem& problem) { return problem.zoned_h; }
    static void pack_w(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, const Panels<T>& panels,
                       int64_t panel, T* packed) {
        pack_panel(panels, panel, {weights.w, problem.input, false}, problem.hidden, packed);
    }

    static int weight_sums(const RecurrentProblem& problem, const WeightGrads<T>& to, Units units, bool transposed,
                           WeightSum<T>* list) {
        using Right = typename WeightSum<T>::Right;
        const int64_t H = problem.hidden, I = problem.input;
        int n = 0;
        if (to.du != nullptr)
            list[n++] = {.right = Right::state,
                         .from = dh_offset(problem) + units.begin,
                         .rows = units.count(),
                         .columns = H,
                         .to = to.du + units.begin * H,
                         .stride = H};
        if (to.dw != nullptr)
            list[n++] = {.right = Right::x,
                         .from = units.begin,
                         .rows = units.count(),
                         .columns = I,
                         .to = to.dw + (transposed ? units.begin : units.begin * I),
                         .stride = transposed ? H : I,
                         .transposed = transposed};
        return n;
    }
    static void write_biases(const RecurrentProblem& problem, const T* total, T* const* db) {
        for (int i = 0; i < 2; ++i)
            if (db[i] != nullptr) copy(db[i], total, problem.hidden);
    }
    void prepare_backward(const RecurrentProblem&, const RecurrentWeights<T>&) const {}

    void backward_step(const RecurrentProblem& problem, const RecurrentBackward<T>& call, const BackwardRows<T>& rows,
                       Units units, const WeightGrads<T>& grads) const {
        for (int64_t r = 0; r < rows.count; ++r) {
            const BackwardRow row{.activated = saved_width(problem) > 0 ? rows.saved[r] : rows.out[r],
                                  .dout = rows.dout[r],
                                  .zone = problem.zoned_h ? at(call.zone_h, rows.batch[r], rows.time[r]) : nullptr,
                                  .carry = rows.carry_h[r],
                                  .gate_grads = rows.gate_grads[r]};
            activation_backward(problem.variant, row, units);
            if (problem.normed) norm_backward(problem, call.weights, rows.saved[r], row.gate_grads, grads);
        }
    }

    // One row of a step. Pointers of options that are not used are null.
    struct BackwardRow {
        const T *activated, *dout, *zone;
        T* carry;  // the gradient of h from later steps; with a zone gets the part of dh that goes to the old state
        T* gate_grads;
    };

    // The gradient before σ, whose derivative follows from its value.
    static void activation_backward(Variant variant, BackwardRow row, Units units) {
        const auto each = [&](auto&& derivative) __attribute__((always_inline)) {
            for (int64_t i = units.begin; i < units.end; i += lanes<T>) {
                const int64_t n = units.end - i;
                vec<T> d = load_upto(row.carry + i, n);
                if (row.dout != nullptr) d += load_upto(row.dout + i, n);
                if (row.zone != nullptr) {
                    const vec<T> zone = load_upto(row.zone + i, n);
                    store_upto(row.carry + i, zone * d, n);
                    d = (T(1) - zone) * d;
                }
                store_upto(row.gate_grads + i, derivative(d, load_upto(row.activated + i, n)), n);
            }
        };
        if (variant == Variant::relu)
            each([](vec<T> d, vec<T> v) __attribute__((always_inline)) { return v > T(0) ? d : vec<T>{}; });
        else if (variant == Variant::tanh)
            each([](vec<T> d, vec<T> v) __attribute__((always_inline)) { return d * (T(1) - v * v); });
        else
            each([](vec<T> d, vec<T> v) __attribute__((always_inline)) { return d * (v * (T(1) - v)); });
    }

    // The gradient through the normalisations of U h and of W x.
    static void norm_backward(const RecurrentProblem& problem, const RecurrentWeights<T>& weights, const T* saved,
                              T* gate_grads, const WeightGrads<T>& grads) {
        const SimpleRnnLayout layout(problem);
        const int64_t H = problem.hidden;
        const T* const moments = saved + layout.moments();
        const auto of_x = Moments<T>::read(moments + moments_x), of_h = Moments<T>::read(moments + moments_h);
        normalise_backward<T>({saved + layout.raw_h(), of_h, weights.gain_h}, gate_grads,
                              gate_grads + layout.through_u(), grads.dgain_h, nullptr, H);
        normalise_backward<T>({saved + layout.raw_x(), of_x, weights.gain_x}, gate_grads, gate_grads, grads.dgain_x,
                              grads.dshift_x, H);
    }
};

#define RNNKIT_CELL SimpleRnn
#define RNNKIT_NAME(what) simple_rnn_##what
#include "../recurrent_define.h"

}  // namespace rnnkit::RNNKIT_FAMILY
