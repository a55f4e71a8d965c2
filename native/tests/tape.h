// Vectors of numbers that remember how they were made. Each operation states its own derivative, and backpropagation is
// the same for all, so the true gradients need no derivation of their own.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

struct Slice {
    size_t from, count;

    Slice part(size_t begin, size_t n) const { return {from + begin, n}; }
};

class Tape {
public:
    Slice leaf(const double* numbers, size_t n) {
        value_.insert(value_.end(), numbers, numbers + n);
        grad_.resize(value_.size());
        return {value_.size() - n, n};
    }
    Slice leaf(const std::vector<double>& numbers) { return leaf(numbers.data(), numbers.size()); }

    // matrix [rows, x.count] times x
    Slice product(Slice matrix, Slice x) {
        const size_t rows = matrix.count / x.count;
        const Slice y = fresh(rows);
        for (size_t r = 0; r < rows; ++r) {
            const double *m = at(matrix) + r * x.count, *right = at(x);
            double sum = 0;
            for (size_t k = 0; k < x.count; ++k) sum += m[k] * right[k];
            value_[y.from + r] = sum;
        }
        back_.push_back([=, this] {
            for (size_t r = 0; r < rows; ++r) {
                const double d = grad_[y.from + r], *m = at(matrix) + r * x.count, *right = at(x);
                double *dm = grad_at(matrix) + r * x.count, *dright = grad_at(x);
                for (size_t k = 0; k < x.count; ++k) dm[k] += d * right[k], dright[k] += d * m[k];
            }
        });
        return y;
    }
    Slice plus(Slice a, Slice b) {
        return pair(
            a, b, [](double u, double v) { return u + v; }, [](double, double) { return 1.0; },
            [](double, double) { return 1.0; });
    }
    Slice minus(Slice a, Slice b) {
        return pair(
            a, b, [](double u, double v) { return u - v; }, [](double, double) { return 1.0; },
            [](double, double) { return -1.0; });
    }
    Slice times(Slice a, Slice b) {
        return pair(
            a, b, [](double u, double v) { return u * v; }, [](double, double v) { return v; },
            [](double u, double) { return u; });
    }
    // Element by element; the slope from the argument and the value.
    template <class F, class Slope>
    Slice map(Slice a, F function, Slope slope) {
        const Slice y = fresh(a.count);
        for (size_t i = 0; i < a.count; ++i) value_[y.from + i] = function(value_[a.from + i]);
        back_.push_back([=, this] {
            for (size_t i = 0; i < a.count; ++i)
                grad_[a.from + i] += grad_[y.from + i] * slope(value_[a.from + i], value_[y.from + i]);
        });
        return y;
    }
    Slice mean(Slice a) {
        const Slice y = fresh(1);
        for (size_t i = 0; i < a.count; ++i) value_[y.from] += value_[a.from + i] / static_cast<double>(a.count);
        back_.push_back([=, this] {
            for (size_t i = 0; i < a.count; ++i) grad_[a.from + i] += grad_[y.from] / static_cast<double>(a.count);
        });
        return y;
    }
    Slice spread(Slice one, size_t n) {
        const Slice y = fresh(n);
        for (size_t i = 0; i < n; ++i) value_[y.from + i] = value_[one.from];
        back_.push_back([=, this] {
            for (size_t i = 0; i < n; ++i) grad_[one.from] += grad_[y.from + i];
        });
        return y;
    }

    // The gradient that arrives from outside; may be called again for the same slice.
    void seed(Slice a, const double* gradient) {
        for (size_t i = 0; i < a.count; ++i) grad_[a.from + i] += gradient[i];
    }
    void pull() {
        for (size_t i = back_.size(); i-- > 0;) back_[i]();
    }
    std::vector<double> values(Slice a) const { return {at(a), at(a) + a.count}; }
    std::vector<double> gradients(Slice a) { return {grad_at(a), grad_at(a) + a.count}; }

private:
    Slice fresh(size_t n) {
        value_.resize(value_.size() + n);
        grad_.resize(value_.size());
        return {value_.size() - n, n};
    }
    const double* at(Slice a) const { return value_.data() + a.from; }
    double* grad_at(Slice a) { return grad_.data() + a.from; }

    template <class F, class Left, class Right>
    Slice pair(Slice a, Slice b, F function, Left left, Right right) {
        const Slice y = fresh(a.count);
        for (size_t i = 0; i < a.count; ++i) value_[y.from + i] = function(value_[a.from + i], value_[b.from + i]);
        back_.push_back([=, this] {
            for (size_t i = 0; i < a.count; ++i) {
                const double u = value_[a.from + i], v = value_[b.from + i], d = grad_[y.from + i];
                grad_[a.from + i] += d * left(u, v);
                grad_[b.from + i] += d * right(u, v);
            }
        });
        return y;
    }

    std::vector<double> value_, grad_;
    std::vector<std::function<void()>> back_;
};
