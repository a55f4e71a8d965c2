// The packed weights of a thread in 8 bits, for the forward pass alone. Gates and states stay float32.
#pragma once

#include "../common/int8.h"
#include "recurrent_split.h"

namespace rnnkit::RNNKIT_FAMILY {

struct Int8ThreadWeights {
    using Source = Int8Weights;
    static constexpr size_t element = sizeof(int8_t);

    Units units;
    int count;
    WeightBlock blocks[max_blocks];
    Int8Matrix of_x[max_blocks], of_h[max_blocks], further;
    float* diagonal;  // of U in the simple layer, else null; zeros where the weights have none
    LeftRows left;    // the thread's own

    void allocate(Arena& arena, const RecurrentProblem& problem, const Int8ThreadWeights* other) {
        const int64_t I = problem.input, S = problem.state, H = problem.hidden;
        const bool resets_before = problem.variant == Variant::reset_before;
        for (int i = 0; i < count; ++i) {
            if (other != nullptr) {
                of_x[i] = other->of_x[i], of_h[i] = other->of_h[i];
                continue;
            }
            of_x[i].allocate(arena, blocks[i].with_x ? blocks[i].count : 0, I);
            of_h[i].allocate(arena, blocks[i].with_h ? blocks[i].count : 0, S);
        }
        if (other != nullptr)
            further = other->further;
        else
            further.allocate(arena, resets_before ? H : S != H ? S : 0, H);
        diagonal = nullptr;
        if (problem.kernel == Kernel::simple_rnn)
            diagonal = other != nullptr ? other->diagonal : arena.allocate<float>(H);
        left.allocate(arena, I > H ? I : H);
    }

    // Packs the panels number `thread`, `thread` + `threads`, ... of all matrices.
    void pack(const RecurrentProblem& problem, const Int8Weights& weights, int thread, int threads) const {
        for (int64_t i = 0; diagonal != nullptr && thread == 0 && i < problem.hidden; ++i)
            diagonal[i] = weights.diagonal != nullptr ? weights.diagonal[i] : 0.0f;
        int64_t number = 0;
        const auto pack_rows = [&](const Int8Matrix& matrix, Int8Source source, int64_t from) {
            for (int64_t p = 0; p < Panels<float>(matrix.columns).count; ++p)
                if (number++ % threads == thread) matrix.pack(source, from, p);
        };
        for (int i = 0; i < count; ++i) {
            pack_rows(of_x[i], {weights.w, weights.w_scales}, blocks[i].from);
            pack_rows(of_h[i], {weights.u, weights.u_scales}, blocks[i].from);
        }
        if (problem.variant == Variant::reset_before)
            pack_rows(further, {weights.u, weights.u_scales}, 2 * problem.hidden);  // U_n
        else
            pack_rows(further, {weights.projection, weights.projection_scales}, 0);
    }

    // As ThreadWeights::multiply. Each product is scaled and added by itself, in this order, whichever are computed.
    void multiply(const RecurrentProblem& problem, Products products, int64_t rows, const float* const* x,
                  const float* const* h, const float* bias, float* const* work) const {
        for (int64_t row = 0; row < rows; row += left_block) {
            const int64_t n = smaller(left_block, rows - row);
            if (products != Products::of_state) {
                left.quantise(x + row, n, problem.input);
                for (int i = 0; i < count; ++i) multiply_rows(of_x[i], n, {work + row, blocks[i].to, bias, false});
            }
            if (products != Products::of_input) {
                left.quantise(h + row, n, problem.state);
                for (int i = 0; i < count; ++i) {
                    multiply_rows(of_h[i], n, {work + row, blocks[i].to, bias, blocks[i].with_x});
                    if (diagonal != nullptr && blocks[i].with_h) add_diagonal(blocks[i], n, h + row, work + row);
                }
            }
        }
    }

    void multiply_further(int64_t, int64_t depth, const float*, int64_t rows, const float* const* rows_of,
                          Target<float> target) const {
        float* const* const to = target.rows;
        for (int64_t row = 0; row < rows; row += left_block) {
            const int64_t n = smaller(left_block, rows - row);
            left.quantise(rows_of + row, n, depth);
            target.rows = to + row;
            multiply_int8(further, 0, Panels<float>(further.columns).count, left, n, target);
        }
    }

private:
    // The diagonal times the state, in float32.
    void add_diagonal(const WeightBlock& block, int64_t rows, const float* const* h, float* const* work) const {
        const float* const own = diagonal + block.from;
        for (int64_t r = 0; r < rows; ++r) {
            const float* const state = h[r] + block.from;
            float* const to = work[r] + block.to;
            for (int64_t i = 0; i < block.count; ++i) to[i] += own[i] * state[i];
        }
    }
    // `bias` of the target is laid out as a work row.
    void multiply_rows(const Int8Matrix& matrix, int64_t n, Target<float> target) const {
        if (target.bias != nullptr) target.bias += target.column;
        multiply_int8(matrix, 0, Panels<float>(matrix.columns).count, left, n, target);
    }
};

}  // namespace rnnkit::RNNKIT_FAMILY
