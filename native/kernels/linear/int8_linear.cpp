// Compiled once per CPU family, with RNNKIT_FAMILY set to its name.
#include "linear.h"

#include "../../common/int8.h"
#include "../../common/parallel.h"
#include "../../common/work.h"

namespace rnnkit::RNNKIT_FAMILY {

struct Int8Linear {
    Int8Matrix weight;
    LeftRows first;  // of the first thread; the others' follow
    size_t bytes, left_bytes;

    Int8Linear(const LinearProblem& p, void* scratch) {
        Arena arena(scratch);
        weight.allocate(arena, p.outputs, p.features);
        const size_t before = arena.used();
        first.allocate(arena, p.features);
        left_bytes = arena.used() - before;
        bytes = arena.used() + left_bytes * static_cast<size_t>(p.threads > 1 ? p.threads - 1 : 0);
    }
    LeftRows left(int thread) const {
        const int64_t skip = static_cast<int64_t>(left_bytes) * thread;
        LeftRows rows = first;
        rows.values += skip, rows.magnitudes += skip;
        rows.scales += skip / static_cast<int64_t>(sizeof(float));
        return rows;
    }
};

size_t int8_linear_scratch(const LinearProblem& problem) { return Int8Linear(problem, nullptr).bytes; }

void int8_linear_pack(const LinearProblem& problem, const int8_t* weight, const float* scales, void* scratch) {
    const Int8Linear linear(problem, scratch);
    for (int64_t i = 0; i < Panels<float>(problem.outputs).count; ++i) linear.weight.pack({weight, scales}, 0, i);
}

void int8_linear_forward(const LinearProblem& p, const LinearCall<float>& call) {
    const Int8Linear linear(p, const_cast<void*>(call.scratch));
    const int64_t panels = Panels<float>(p.outputs).count;
    const double work = work_of(p.rows, p.features * p.outputs, sizeof(int8_t));
    const int threads = static_cast<int>(smaller(panels, threads_for(work, p.threads)));
    parallel(threads, [&](int thread, int count) {
        const LeftRows left = linear.left(thread);
        const int64_t begin = share_begin(panels, count, thread), end = share_begin(panels, count, thread + 1);
        const float* rows[left_block];
        float* outputs[left_block];
        for (int64_t done = 0; done < p.rows; done += left_block) {
            const int64_t n = smaller(left_block, p.rows - done);
            for (int64_t r = 0; r < n; ++r)
                rows[r] = call.x + (done + r) * p.features, outputs[r] = call.out + (done + r) * p.outputs;
            left.quantise(rows, n, p.features);
            multiply_int8(linear.weight, begin, end, left, n, Target<float>{.rows = outputs, .bias = call.bias});
        }
    });
}

}  // namespace rnnkit::RNNKIT_FAMILY
