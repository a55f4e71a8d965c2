// Compiled once per CPU family, with RNNKIT_FAMILY set to its name.
#include "linear.h"

#include "../../common/parallel.h"
#include "../../common/rows.h"
#include "../../common/work.h"

namespace rnnkit::RNNKIT_FAMILY {

// Rows whose pointers are made at a time.
constexpr int64_t row_block = 64;

template <class T>
T* packed_weight(const LinearProblem& p, void* scratch, size_t& bytes) {
    Arena arena(scratch);
    T* const packed = arena.allocate<T>(Panels<T>(p.outputs).padded() * p.features);
    bytes = arena.used();
    return packed;
}

size_t linear_scratch(const LinearProblem& problem, size_t element) {
    size_t bytes = 0;
    if (element == sizeof(float))
        packed_weight<float>(problem, nullptr, bytes);
    else
        packed_weight<double>(problem, nullptr, bytes);
    return bytes;
}

template <class T>
void pack(const LinearProblem& p, const T* weight, void* scratch) {
    size_t bytes = 0;
    pack_panels(Panels<T>(p.outputs), Matrix<T>{weight, p.features, true}, p.features,
                packed_weight<T>(p, scratch, bytes));
}

template <class T>
void forward(const LinearProblem& p, const LinearCall<T>& call) {
    size_t bytes = 0;
    const T* const packed = packed_weight<T>(p, const_cast<void*>(call.scratch), bytes);
    const Panels<T> panels(p.outputs);
    const double work = work_of(p.rows, p.features * p.outputs, sizeof(T));
    const int threads = static_cast<int>(smaller(panels.count, threads_for(work, p.threads)));
    parallel(threads, [&](int thread, int count) {
        const int64_t begin = share_begin(panels.count, count, thread),
                      end = share_begin(panels.count, count, thread + 1);
        const T* rows[row_block];
        T* outputs[row_block];
        for (int64_t done = 0; done < p.rows; done += row_block) {
            const int64_t n = smaller(row_block, p.rows - done);
            for (int64_t r = 0; r < n; ++r)
                rows[r] = call.x + (done + r) * p.features, outputs[r] = call.out + (done + r) * p.outputs;
            const Segment<T> segment[] = {{rows, packed, p.features}};
            multiply_rows(panels, begin, end, n, segment, Target<T>{.rows = outputs, .bias = call.bias});
        }
    });
}

void linear_pack(const LinearProblem& problem, const float* weight, void* scratch) { pack(problem, weight, scratch); }
void linear_pack(const LinearProblem& problem, const double* weight, void* scratch) { pack(problem, weight, scratch); }
void linear_forward(const LinearProblem& problem, const LinearCall<float>& call) { forward(problem, call); }
void linear_forward(const LinearProblem& problem, const LinearCall<double>& call) { forward(problem, call); }

}  // namespace rnnkit::RNNKIT_FAMILY
