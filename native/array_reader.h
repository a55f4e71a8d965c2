// The arrays of a native call, from a dict of Python's.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/recurrent.h"

namespace rnnkit {

namespace nb = nanobind;

[[noreturn]] inline void refuse(const std::string& message) { throw nb::value_error(message.c_str()); }

// Reads the fields of a call from a dict. The names are interned once for each type of call, so that the dict finds
// them by identity.
class ArrayReader {
public:
    ArrayReader(nb::dict arrays, std::vector<PyObject*>& names) : arrays_(arrays), names_(names) {}

    template <class P>
    void operator()(const char* name, P*& pointer) {
        PyObject* const value = find(name);
        pointer = value == nullptr ? nullptr : static_cast<P*>(address(value, name));
    }
    template <class T>
    void operator()(const char* name, Strided<T>& array) {
        PyObject* const value = find(name);
        array = {nullptr, 0, 0};
        if (value == nullptr) return;
        if (!PyTuple_Check(value) || PyTuple_Size(value) != 3)
            refuse(std::string(name) + ": expected (address, stride over the batch, stride over time)");
        array = {static_cast<T*>(address(PyTuple_GetItem(value, 0), name)), number(PyTuple_GetItem(value, 1), name),
                 number(PyTuple_GetItem(value, 2), name)};
    }
    template <class Field>
    void required(const char* name, Field& field) {
        const size_t before = found_;
        (*this)(name, field);
        if (found_ == before) refuse(std::string("the array '") + name + "' is missing");
    }
    // Every array of the dict was one of the fields.
    void finish() const {
        if (found_ == arrays_.size()) return;
        for (auto [key, _] : arrays_) {
            const bool known =
                std::any_of(names_.begin(), names_.end(), [&](PyObject* name) { return nb::handle(name).equal(key); });
            if (!known) refuse(std::string("no array is called ") + nb::repr(key).c_str());
        }
    }

private:
    PyObject* find(const char* name) {
        if (next_ == names_.size()) names_.push_back(PyUnicode_InternFromString(name));
        PyObject* const value = PyDict_GetItemWithError(arrays_.ptr(), names_[next_++]);
        if (value == nullptr && PyErr_Occurred() != nullptr) throw nb::python_error();
        found_ += value != nullptr;
        return value;
    }
    static void* address(PyObject* value, const char* name) {
        return reinterpret_cast<void*>(static_cast<uintptr_t>(number(value, name)));
    }
    static int64_t number(PyObject* value, const char* name) {
        const long long found = PyLong_AsLongLong(value);
        if (found == -1 && PyErr_Occurred() != nullptr) {
            PyErr_Clear();
            refuse(std::string(name) + ": expected whole numbers");
        }
        return found;
    }

    nb::dict arrays_;
    std::vector<PyObject*>& names_;
    size_t next_ = 0, found_ = 0;
};

}  // namespace rnnkit
