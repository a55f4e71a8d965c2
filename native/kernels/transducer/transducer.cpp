// Compiled once per CPU family, with RNNKIT_FAMILY set to its name.
#include "transducer.h"

#include "../../common/log_sum.h"
#include "../../common/parallel.h"
#include "../../common/rows.h"
#include "../../common/work.h"

namespace rnnkit::RNNKIT_FAMILY {

// One row of the batch.
struct Lattice {
    int64_t T, U, V, blank;  // of the row
    int64_t width;           // nodes from (t, u) to (t + 1, u)
    const int64_t* y;
    const float* x;  // logits of node (0, 0)

    RNNKIT_INLINE int64_t node(int64_t t, int64_t u) const { return t * width + u; }
    // The diagonal d has the nodes (d − u, u) with first(d) <= u <= last(d).
    RNNKIT_INLINE int64_t first(int64_t d) const { return d < T ? 0 : d - T + 1; }
    RNNKIT_INLINE int64_t last(int64_t d) const { return smaller(d, U); }
    RNNKIT_INLINE int64_t diagonals() const { return T + U; }
};

Lattice lattice_of(const TransducerProblem& p, const float* logits, int64_t b) {
    const int64_t width = p.labels + 1;
    return {p.frame_lengths[b],
            p.label_lengths[b],
            p.vocabulary,
            p.blank,
            width,
            p.targets + b * p.labels,
            logits + b * p.frames * width * p.vocabulary};
}

// Threads that a call is worth: an exponential and what belongs to it costs about 20 operations.
int64_t threads_of(const TransducerProblem& p) {
    const auto logits = static_cast<double>(p.batch * p.frames * (p.labels + 1) * p.vocabulary);
    return threads_for(20 * logits, smaller(p.threads, p.batch));
}

// What is known of a node. Behind it stands ln P of what follows the node, a double.
struct Node {
    float largest, log_sum;  // of its logits
    float blank, label;      // ln p of the blank and of the next label; later their share of the row's alignments
};
constexpr int64_t node_floats = sizeof(Node) / sizeof(float), record_floats = node_floats + 2;

// The nodes' records: each at the beginning of its own gradient, if it is large enough, else in scratch memory.
struct Records {
    float* base;
    int64_t stride;

    RNNKIT_INLINE Node get(int64_t n) const {
        Node node;
        __builtin_memcpy(&node, base + n * stride, sizeof(Node));
        return node;
    }
    RNNKIT_INLINE void put(int64_t n, const Node& node) const {
        __builtin_memcpy(base + n * stride, &node, sizeof(Node));
    }
    RNNKIT_INLINE double after(int64_t n) const {
        double value;
        __builtin_memcpy(&value, base + n * stride + node_floats, sizeof(double));
        return value;
    }
    RNNKIT_INLINE void put_after(int64_t n, double value) const {
        __builtin_memcpy(base + n * stride + node_floats, &value, sizeof(double));
    }
};

// What a thread keeps in its scratch: numbers of one diagonal by u, and of each node. With a null base it only counts.
struct TransducerScratch {
    double *stay, *move;  // ln P of what leads to the next diagonal's nodes, by the blank and by a label
    double* after;        // ln P of what follows the nodes of a diagonal
    double *blank_share, *label_share;
    double* nodes;   // forward: ln p of the blank and of the label of each node
    float* records;  // backward: where the gradients are too small
    size_t bytes;

    TransducerScratch(const TransducerProblem& p, bool backward, void* base) {
        Arena arena(base);
        const int64_t nodes_of_row = p.frames * (p.labels + 1);
        double** const diagonals[] = {&stay, &move, &after, &blank_share, &label_share};
        for (double** one : diagonals) *one = arena.allocate<double>(p.labels + 2);
        nodes = arena.allocate<double>(backward ? 0 : 2 * nodes_of_row);
        records = arena.allocate<float>(backward && p.vocabulary < record_floats ? record_floats * nodes_of_row : 0);
        bytes = arena.used();
    }
};

// ln(e^a + e^b), −∞ where both are. ln(1 + z) = 2 artanh(z / (2 + z)), whose series needs 17 terms at 1/3.
RNNKIT_INLINE vec<double> log_add(vec<double> a, vec<double> b) {
    constexpr double c[] = {1. / 33, 1. / 31, 1. / 29, 1. / 27, 1. / 25, 1. / 23, 1. / 21, 1. / 19, 1. / 17,
                            1. / 15, 1. / 13, 1. / 11, 1. / 9,  1. / 7,  1. / 5,  1. / 3,  1.};
    const vec<double> most = a > b ? a : b, least = a > b ? b : a;
    const vec<double> z = exp<double>(least - most), s = z / (z + 2.0);
    const vec<double> sum = most + 2.0 * s * polynomial<double>(s * s, c);
    return most == splat(never<double>) ? most : sum;
}

// Calls f(u, n) for u from `begin` to `end`, a vector at a time; n of its lanes are valid.
template <class F>
RNNKIT_INLINE void by_vectors(int64_t begin, int64_t end, F&& f) {
    for (int64_t u = begin; u < end; u += lanes<double>) f(u, smaller(end - u, lanes<double>));
}

Node read_node(const Lattice& row, int64_t t, int64_t u) {
    const float* const x = row.x + row.node(t, u) * row.V;
    const float largest = largest_of(x, row.V);
    const double log_sum = log_of_sum(x, largest, row.V);
    const auto log_p = [&](float logit) {
        return static_cast<float>(static_cast<double>(logit) - static_cast<double>(largest) - log_sum);
    };
    return {largest, static_cast<float>(log_sum), log_p(x[row.blank]), u < row.U ? log_p(x[row.y[u]]) : never<float>};
}

// Before the first diagonal: the node (0, 0) alone is reached.
void begin_paths(const Lattice& row, const TransducerScratch& scratch) {
    for (int64_t u = 0; u <= row.U + 1; ++u) scratch.stay[u] = scratch.move[u] = never<double>;
    scratch.stay[0] = 0;
}

// stay = α of a diagonal's nodes, ln P of what leads to them.
void join_paths(const TransducerScratch& scratch, int64_t begin, int64_t end) {
    by_vectors(begin, end, [&](int64_t u, int64_t n) {
        store_upto(scratch.stay + u, log_add(load_upto(scratch.stay + u, n), load_upto(scratch.move + u, n)), n);
    });
}

double loss_of(const Lattice& row, const TransducerScratch& scratch) {
    for (int64_t t = 0; t < row.T; ++t)
        for (int64_t u = 0; u <= row.U; ++u) {
            const Node node = read_node(row, t, u);
            double* const to = scratch.nodes + 2 * row.node(t, u);
            to[0] = static_cast<double>(node.blank), to[1] = static_cast<double>(node.label);
        }
    begin_paths(row, scratch);
    for (int64_t d = 0; d < row.diagonals(); ++d) {
        const int64_t begin = row.first(d), end = row.last(d) + 1;
        join_paths(scratch, begin, end);
        for (int64_t u = begin; u < end; ++u) {
            const double* const node = scratch.nodes + 2 * row.node(d - u, u);
            scratch.move[u + 1] = scratch.stay[u] + node[1];
            scratch.stay[u] += node[0];
        }
    }
    return -scratch.stay[row.U];
}

// Fills the records of a row with the log-probabilities and with β, ln P of what follows a node. Returns ln P(y | x).
double read_backwards(const Lattice& row, const Records& records, const TransducerScratch& scratch) {
    for (int64_t t = 0; t < row.T; ++t)
        for (int64_t u = 0; u <= row.U; ++u) records.put(row.node(t, u), read_node(row, t, u));
    double* const after = scratch.after;
    for (int64_t u = 0; u <= row.U + 1; ++u) after[u] = never<double>;
    after[row.U] = 0;  // the end, behind the last blank
    for (int64_t d = row.diagonals() - 1; d >= 0; --d) {
        const int64_t begin = row.first(d), end = row.last(d) + 1;
        for (int64_t u = begin; u < end; ++u) {
            const Node node = records.get(row.node(d - u, u));
            scratch.stay[u] = static_cast<double>(node.blank) + after[u];
            scratch.move[u] = static_cast<double>(node.label) + after[u + 1];
        }
        join_paths(scratch, begin, end);
        for (int64_t u = begin; u < end; ++u) {
            after[u] = scratch.stay[u];
            records.put_after(row.node(d - u, u), after[u]);
        }
    }
    return after[0];
}

// Puts into the records how much of P(y | x) passes through each node by the blank and by the label, times `scale`.
void find_shares(const Lattice& row, const Records& records, const TransducerScratch& scratch, double log_p,
                 double scale) {
    double* const after = scratch.after;
    begin_paths(row, scratch);
    for (int64_t u = 0; u <= row.U + 1; ++u) after[u] = never<double>;
    for (int64_t d = 0; d < row.diagonals(); ++d) {
        const int64_t begin = row.first(d), end = row.last(d) + 1;
        const bool ends = d + 1 == row.diagonals();
        if (ends) {
            after[row.U] = 0;
        } else {
            for (int64_t u = row.first(d + 1); u <= row.last(d + 1); ++u)
                after[u] = records.after(row.node(d + 1 - u, u));
            if (row.first(d + 1) > begin) after[begin] = never<double>;  // of the last frame: only a label goes on
        }
        join_paths(scratch, begin, end);
        for (int64_t u = begin; u < end; ++u) {
            const Node node = records.get(row.node(d - u, u));
            scratch.move[u + 1] = scratch.stay[u] + static_cast<double>(node.label);
            scratch.stay[u] += static_cast<double>(node.blank);
        }
        by_vectors(begin, end, [&](int64_t u, int64_t n) {
            const auto share = [&](const double* path, const double* follows) {
                return scale * exp<double>(load_upto(path, n) + load_upto(follows, n) - log_p);
            };
            store_upto(scratch.blank_share + u, share(scratch.stay + u, after + u), n);
            store_upto(scratch.label_share + u, share(scratch.move + u + 1, after + u + 1), n);
        });
        for (int64_t u = begin; u < end; ++u) {
            Node node = records.get(row.node(d - u, u));
            node.blank = static_cast<float>(scratch.blank_share[u]);
            node.label = static_cast<float>(scratch.label_share[u]);
            records.put(row.node(d - u, u), node);
        }
    }
}

// The gradient of one node's logits; it may overwrite the record that `node` was read from.
void write_gradient(const Lattice& row, const Node& node, int64_t n, int64_t u, float* dx) {
    const float* const x = row.x + n * row.V;
    const float share = node.blank + node.label;
    for (int64_t i = 0; i < row.V; i += lanes<float>) {
        const vec<float> logits = load_upto(x + i, row.V - i);
        const vec<float> p = exp<float>(logits - node.largest - node.log_sum);
        store_upto(dx + i, logits == splat(never<float>) ? vec<float>{} : share * p, row.V - i);
    }
    dx[row.blank] -= node.blank;
    if (u < row.U) dx[row.y[u]] -= node.label;
}

void clear(float* to, int64_t count) { __builtin_memset(to, 0, static_cast<size_t>(count) * sizeof(float)); }

void gradient_of(const Lattice& row, int64_t frames, double scale, const TransducerScratch& scratch, float* dx) {
    const Records records = row.V < record_floats ? Records{scratch.records, record_floats} : Records{dx, row.V};
    const double log_p = read_backwards(row, records, scratch);
    if (log_p == never<double>) return clear(dx, frames * row.width * row.V);
    find_shares(row, records, scratch, log_p, scale);
    for (int64_t t = 0; t < row.T; ++t) {
        for (int64_t u = 0; u <= row.U; ++u) {
            const int64_t n = row.node(t, u);
            write_gradient(row, records.get(n), n, u, dx + n * row.V);
        }
        clear(dx + row.node(t, row.U + 1) * row.V, (row.width - row.U - 1) * row.V);
    }
    clear(dx + row.node(row.T, 0) * row.V, (frames - row.T) * row.width * row.V);
}

// Calls f(b, scratch) for each row. Whichever thread is free takes the next one: rows differ in length.
template <class F>
void by_rows(const TransducerProblem& p, bool backward, void* scratch, F&& f) {
    const size_t bytes = TransducerScratch(p, backward, nullptr).bytes;
    int64_t next = 0;
    parallel(static_cast<int>(threads_of(p)), [&](int thread, int) {
        const TransducerScratch own(p, backward,
                                    static_cast<unsigned char*>(scratch) + static_cast<size_t>(thread) * bytes);
        for (int64_t b; (b = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < p.batch;) f(b, own);
    });
}

size_t transducer_scratch(const TransducerProblem& problem, bool backward) {
    return static_cast<size_t>(threads_of(problem)) * TransducerScratch(problem, backward, nullptr).bytes;
}

void transducer_forward(const TransducerProblem& problem, const float* logits, float* losses, void* scratch) {
    by_rows(problem, false, scratch, [&](int64_t b, const TransducerScratch& own) {
        losses[b] = static_cast<float>(loss_of(lattice_of(problem, logits, b), own));
    });
}

void transducer_backward(const TransducerProblem& problem, const float* logits, const float* dlosses, float* dlogits,
                         void* scratch) {
    const int64_t row_size = problem.frames * (problem.labels + 1) * problem.vocabulary;
    by_rows(problem, true, scratch, [&](int64_t b, const TransducerScratch& own) {
        gradient_of(lattice_of(problem, logits, b), problem.frames, static_cast<double>(dlosses[b]), own,
                    dlogits + b * row_size);
    });
}

}  // namespace rnnkit::RNNKIT_FAMILY
