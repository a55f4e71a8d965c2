// Heap arrays of exactly the size that a kernel may touch, with NaN wherever nothing was put.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "../kernels/recurrent.h"
#include "problem.h"

template <class T>
class Array {
public:
    explicit Array(size_t size = 0) : size_(size), data_(new T[size]) {
        for (size_t i = 0; i < size; ++i) data_[i] = std::numeric_limits<T>::quiet_NaN();
    }
    explicit Array(const std::vector<double>& numbers) : Array(numbers.size()) {
        for (size_t i = 0; i < size_; ++i) data_[i] = static_cast<T>(numbers[i]);
    }
    // Null where there is nothing: an option that is not given.
    T* get() const { return size_ > 0 ? data_.get() : nullptr; }
    T& operator[](size_t i) { return data_[i]; }
    T operator[](size_t i) const { return data_[i]; }
    size_t size() const { return size_; }

private:
    size_t size_;
    std::unique_ptr<T[]> data_;
};

// [B, T, features] in a case's layout.
template <class T>
class Sequence {
public:
    Sequence() = default;
    Sequence(const Case& c, int64_t features) : c_(c), features_(features) {
        if (features == 0 || c.batch == 0) return;
        const int64_t stride = features + (c.layout == Layout::gapped ? 3 : 0);
        batch_ = c.layout == Layout::time_first ? stride : c.time * stride;
        time_ = c.layout == Layout::time_first ? c.batch * stride : stride;
        data_ = Array<T>(static_cast<size_t>((c.batch * c.time - 1) * stride + features));
    }
    Sequence(const Case& c, int64_t features, const std::vector<double>& numbers)
        : Sequence(c, numbers.empty() ? 0 : features) {
        size_t next = 0;
        for (int64_t b = 0; !numbers.empty() && b < c.batch; ++b)
            for (int64_t t = 0; t < c.time; ++t)
                for (int64_t i = 0; i < features; ++i) data_[index(b, t, i)] = static_cast<T>(numbers[next++]);
    }
    template <class E>
    rnnkit::Strided<E> view() const {
        return {data_.get(), batch_, time_};
    }
    T at(int64_t b, int64_t t, int64_t i) const { return data_[index(b, t, i)]; }
    const Array<T>& data() const { return data_; }
    bool gaps_untouched() const {
        bool untouched = true;
        for (size_t i = 0; c_.layout == Layout::gapped && i < data_.size(); ++i)
            if (static_cast<int64_t>(i) % (features_ + 3) >= features_) untouched = untouched && std::isnan(data_[i]);
        return untouched;
    }

private:
    size_t index(int64_t b, int64_t t, int64_t i) const { return static_cast<size_t>(b * batch_ + t * time_ + i); }
    Case c_{};
    int64_t features_ = 0, batch_ = 0, time_ = 0;
    Array<T> data_;
};

// Bytes at the worst alignment, all bits set: NaN for every floating type.
class Scratch {
public:
    explicit Scratch(size_t bytes) : data_(new unsigned char[bytes + 1]) { std::memset(data_.get(), 0xFF, bytes + 1); }
    void* get() const { return data_.get() + 1; }

private:
    std::unique_ptr<unsigned char[]> data_;
};
