// Compiled once per CPU family, with RNNKIT_FAMILY set to its name.
#include "head.h"

#include "../../common/parallel.h"
#include "../../common/rows.h"
#include "../../common/work.h"

namespace rnnkit::RNNKIT_FAMILY {

// What a call keeps in its scratch. With a null base it only counts.
template <class T>
struct HeadScratch {
    int threads;       // of the loss, by rows
    T* forward;        // Wᵀ packed for the outputs, B of h Wᵀ
    T* backward;       // W packed for dh
    T* doutput;        // [B, C]
    double* losses;    // [B]
    const T** h_rows;  // [B] each
    T** output_rows;
    const T** doutput_rows;
    T** dh_rows;
    T* outer;  // one piece a thread
    size_t bytes;

    HeadScratch(const HeadProblem& p, void* base) {
        threads = static_cast<int>(threads_for(work_of(p.batch, p.features * p.outputs, sizeof(T)), p.threads));
        Arena arena(base);
        forward = arena.allocate<T>(Panels<T>(p.outputs).padded() * p.features);
        backward = arena.allocate<T>(Panels<T>(p.features).padded() * p.outputs);
        doutput = arena.allocate<T>(p.batch * p.outputs);
        losses = arena.allocate<double>(p.batch);
        h_rows = arena.allocate<const T*>(p.batch);
        output_rows = arena.allocate<T*>(p.batch);
        doutput_rows = arena.allocate<const T*>(p.batch);
        dh_rows = arena.allocate<T*>(p.batch);
        outer = arena.allocate<T>(threads * outer_scratch<T>);
        bytes = arena.used();
    }
};

// The loss of one row, −log of the share of its label, and dz = (share − [c = y]) / B.
template <class T>
double cross_entropy(const T* z, int64_t label, int64_t count, double scale, T* dz) {
    T largest = z[0];
    for (int64_t c = 1; c < count; ++c) largest = z[c] > largest ? z[c] : largest;
    double total = 0;
    for (int64_t c = 0; c < count; c += lanes<T>) {
        const int64_t left = count - c;
        store_upto(dz + c, exp<T>(load_upto(z + c, left) - largest), left);
        for (int64_t lane = c; lane < smaller(count, c + lanes<T>); ++lane) total += static_cast<double>(dz[lane]);
    }
    const T share = static_cast<T>(scale / total);
    for (int64_t c = 0; c < count; ++c) dz[c] *= share;
    dz[label] -= static_cast<T>(scale);
    return __builtin_log(total) + static_cast<double>(largest) - static_cast<double>(z[label]);
}

// The sum of squares of one row, and dz = 2 (z − y) / (B C).
template <class T>
double squared_error(const T* z, const T* y, int64_t count, double scale, T* dz) {
    double total = 0;
    for (int64_t c = 0; c < count; ++c) {
        const T difference = z[c] - y[c];
        total += static_cast<double>(difference) * static_cast<double>(difference);
        dz[c] = static_cast<T>(2 * scale) * difference;
    }
    return total;
}

size_t head_scratch(const HeadProblem& problem, size_t element) {
    return element == sizeof(float) ? HeadScratch<float>(problem, nullptr).bytes
                                    : HeadScratch<double>(problem, nullptr).bytes;
}

template <class T>
double loss_of(const HeadProblem& p, const HeadCall<T>& call) {
    const HeadScratch<T> scratch(p, call.scratch);
    const Panels<T> outputs(p.outputs), features(p.features);
    pack_panels(outputs, Matrix<T>{call.weight, p.features, true}, p.features, scratch.forward);
    pack_panels(features, Matrix<T>{call.weight, p.features, false}, p.outputs, scratch.backward);
    const int64_t terms = p.loss == Loss::cross_entropy ? p.batch : p.batch * p.outputs;
    const double scale = 1.0 / static_cast<double>(terms);
    parallel(scratch.threads, [&](int thread, int threads) {
        const int64_t begin = share_begin(p.batch, threads, thread), end = share_begin(p.batch, threads, thread + 1);
        for (int64_t b = begin; b < end; ++b) {
            scratch.h_rows[b] = call.h + b * p.features;
            scratch.output_rows[b] = call.output + b * p.outputs;
            scratch.doutput_rows[b] = scratch.doutput + b * p.outputs;
            scratch.dh_rows[b] = call.dh + b * p.features;
        }
        const Segment<T> from_h[] = {{scratch.h_rows + begin, scratch.forward, p.features}};
        multiply_rows(outputs, end - begin, from_h, Target<T>{.rows = scratch.output_rows + begin, .bias = call.bias});
        for (int64_t b = begin; b < end; ++b) {
            const T* const z = call.output + b * p.outputs;
            T* const dz = scratch.doutput + b * p.outputs;
            scratch.losses[b] =
                p.loss == Loss::cross_entropy
                    ? cross_entropy(z, static_cast<const int64_t*>(call.targets)[b], p.outputs, scale, dz)
                    : squared_error(z, static_cast<const T*>(call.targets) + b * p.outputs, p.outputs, scale, dz);
        }
        const Segment<T> from_output[] = {{scratch.doutput_rows + begin, scratch.backward, p.outputs}};
        multiply_rows(features, end - begin, from_output, Target<T>{.rows = scratch.dh_rows + begin});
    });
    double total = 0;
    for (int64_t b = 0; b < p.batch; ++b) total += scratch.losses[b];
    return total * scale;
}

template <class T>
void gradients_of(const HeadProblem& p, const HeadCall<T>& call) {
    const HeadScratch<T> scratch(p, call.scratch);
    parallel(static_cast<int>(smaller(scratch.threads, p.outputs)), [&](int thread, int threads) {
        const int64_t begin = share_begin(p.outputs, threads, thread),
                      end = share_begin(p.outputs, threads, thread + 1);
        outer_product(Columns<T>{scratch.doutput_rows, begin, end - begin}, Columns<T>{scratch.h_rows, 0, p.features},
                      p.batch, call.dweight + begin * p.features, p.features, true,
                      scratch.outer + thread * outer_scratch<T>);
        for (int64_t c = begin; call.dbias != nullptr && c < end; ++c) {
            T total = 0;
            for (int64_t b = 0; b < p.batch; ++b) total += scratch.doutput[b * p.outputs + c];
            call.dbias[c] = total;
        }
    });
}

double head_loss(const HeadProblem& problem, const HeadCall<float>& call) { return loss_of(problem, call); }
double head_loss(const HeadProblem& problem, const HeadCall<double>& call) { return loss_of(problem, call); }
void head_gradients(const HeadProblem& problem, const HeadCall<float>& call) { gradients_of(problem, call); }
void head_gradients(const HeadProblem& problem, const HeadCall<double>& call) { gradients_of(problem, call); }

}  // namespace rnnkit::RNNKIT_FAMILY
