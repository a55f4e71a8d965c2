// Compiled once per CPU family, with RNNKIT_FAMILY set to its name.
#include "tokens.h"

#include "../../common/log_sum.h"
#include "../../common/rows.h"

namespace rnnkit::RNNKIT_FAMILY {

// to[i] = e^(x_i − largest).
template <class T>
void exponentials(const T* x, T largest, int64_t n, T* to) {
    for (int64_t i = 0; i < n; i += lanes<T>) store_upto(to + i, exponential(load_upto(x + i, n - i), largest), n - i);
}

// The ids of a row, the most likely first, found as far as they are asked for.
template <class T>
class Descending {
public:
    Descending(const T* x, int64_t n, int32_t* heap) : x_(x), heap_(heap), size_(0) {
        for (int64_t i = 0; i < n; ++i)
            if (x[i] > never<T>) heap_[size_++] = static_cast<int32_t>(i);
        for (int64_t i = size_ / 2 - 1; i >= 0; --i) sink(i);
    }
    bool empty() const { return size_ == 0; }
    // The ids that were not asked for, in any order.
    const int32_t* begin() const { return heap_; }
    const int32_t* end() const { return heap_ + size_; }
    int64_t pop() {
        const int32_t first = heap_[0];
        heap_[0] = heap_[--size_];
        sink(0);
        return first;
    }

private:
    bool before(int32_t a, int32_t b) const { return x_[a] > x_[b] || (x_[a] == x_[b] && a < b); }
    void sink(int64_t i) {
        for (int64_t child; (child = 2 * i + 1) < size_; i = child) {
            if (child + 1 < size_ && before(heap_[child + 1], heap_[child])) ++child;
            if (!before(heap_[child], heap_[i])) return;
            const int32_t lower = heap_[i];
            heap_[i] = heap_[child], heap_[child] = lower;
        }
    }
    const T* x_;
    int32_t* heap_;
    int64_t size_;
};

// The logits of a row, divided by the temperature, and their weights e^(x − largest); of a token that a filter drops
// both are those of a logit of −∞.
template <class T>
struct DrawScratch {
    T *x, *weights;
    int32_t* heap;
    size_t bytes;

    DrawScratch(int64_t vocabulary, void* base) {
        Arena arena(base);
        x = arena.allocate<T>(vocabulary);
        weights = arena.allocate<T>(vocabulary);
        heap = arena.allocate<int32_t>(vocabulary);
        bytes = arena.used();
    }
    void drop(int64_t id) const { x[id] = never<T>, weights[id] = 0; }
    void drop_below(T least, int64_t n) const {
        for (int64_t id = 0; id < n; ++id)
            if (x[id] < least) drop(id);
    }
};

template <class T>
void keep_top_k(int64_t k, const DrawScratch<T>& row, int64_t n) {
    Descending<T> ids(row.x, n, row.heap);
    T least = never<T>;
    for (int64_t i = 0; i < k && !ids.empty(); ++i) least = row.x[ids.pop()];
    row.drop_below(least, n);
}

template <class T>
double sum_of(const T* weights, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(weights[i]);
    return sum;
}

template <class T>
void keep_top_p(double p, const DrawScratch<T>& row, int64_t n) {
    const double enough = p * sum_of(row.weights, n);
    Descending<T> ids(row.x, n, row.heap);
    double sum = 0;
    while (!ids.empty() && sum < enough) sum += static_cast<double>(row.weights[ids.pop()]);
    for (int32_t id : ids) row.drop(id);
}

template <class T>
int64_t draw_row(const Filters& filters, const T* logits, int64_t n, double uniform, const DrawScratch<T>& row) {
    const T divisor = static_cast<T>(filters.temperature);
    for (int64_t i = 0; i < n; ++i) row.x[i] = logits[i] / divisor;
    const T largest = largest_of(row.x, n);
    exponentials(row.x, largest, n, row.weights);
    if (!(sum_of(row.weights, n) < __builtin_inf()) || !(largest > never<T>)) return n;  // NaN, +∞, or −∞ alone
    if (filters.top_k > 0 && filters.top_k < n) keep_top_k(filters.top_k, row, n);
    if (filters.top_p < 1) keep_top_p(filters.top_p, row, n);
    if (filters.min_p > 0) row.drop_below(largest + static_cast<T>(__builtin_log(filters.min_p)), n);
    const double wanted = uniform * sum_of(row.weights, n);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
        if ((sum += static_cast<double>(row.weights[i])) > wanted) return i;
    return n;
}

size_t draw_scratch(int64_t vocabulary, size_t element) {
    return element == sizeof(float) ? DrawScratch<float>(vocabulary, nullptr).bytes
                                    : DrawScratch<double>(vocabulary, nullptr).bytes;
}

template <class T>
void draw(const Filters& filters, const TokenDraw<T>& call) {
    const DrawScratch<T> row(call.vocabulary, call.scratch);
    for (int64_t b = 0; b < call.rows; ++b)
        call.ids[b] = draw_row(filters, call.logits + b * call.vocabulary, call.vocabulary, call.uniform[b], row);
}

// The `count` largest numbers so far, with their places; the first of equal ones stays in front.
template <class T>
struct Best {
    T* values;
    int64_t* places;
    int64_t count;

    T least() const { return values[count - 1]; }
    void insert(T value, int64_t place) const {
        int64_t i = count - 1;
        for (; i > 0 && value > values[i - 1]; --i) values[i] = values[i - 1], places[i] = places[i - 1];
        values[i] = value, places[i] = place;
    }
};

template <class T>
bool is_banned(const Continuations<T>& call, int64_t id) {
    for (int64_t i = 0; i < call.bans; ++i)
        if (call.banned[i] == id) return true;
    return false;
}

template <class T>
void continuations_of(const Continuations<T>& call, int64_t source) {
    const Best<T> best{call.values + source * call.count, call.places + source * call.count, call.count};
    for (int64_t i = 0; i < call.count; ++i) best.values[i] = never<T>, best.places[i] = 0;
    for (int64_t w = 0; w < call.width; ++w) {
        const T score = call.scores[source * call.width + w];
        if (!(score > never<T>)) continue;
        const T* const x = call.logits + (source * call.width + w) * call.vocabulary;
        const T largest = largest_of(x, call.vocabulary);
        const T total = largest + static_cast<T>(log_of_sum(x, largest, call.vocabulary));
        if (total != total) {
            for (int64_t i = 0; i < call.count; ++i) best.values[i] = total;
            return;
        }
        constexpr int64_t block = 8 * lanes<T>;
        for (int64_t begin = 0; begin < call.vocabulary; begin += block) {
            const int64_t end = smaller(call.vocabulary, begin + block);
            if (!(largest_of(x + begin, end - begin) - total + score > best.least())) continue;
            for (int64_t id = begin; id < end; ++id) {
                const T value = x[id] - total + score;
                if (value > best.least() && !is_banned(call, id)) best.insert(value, w * call.vocabulary + id);
            }
        }
    }
}

template <class T>
void continuations(const Continuations<T>& call) {
    for (int64_t source = 0; source < call.sources; ++source) continuations_of(call, source);
}

void draw_tokens(const Filters& filters, const TokenDraw<float>& call) { draw(filters, call); }
void draw_tokens(const Filters& filters, const TokenDraw<double>& call) { draw(filters, call); }
void best_continuations(const Continuations<float>& call) { continuations(call); }
void best_continuations(const Continuations<double>& call) { continuations(call); }

}  // namespace rnnkit::RNNKIT_FAMILY
