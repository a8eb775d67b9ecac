// Python strings of column names, which repeat in every row: a small, bounded, direct-mapped cache.
#pragma once

#include <Python.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace lutra {

// Guarded by the GIL. Holds at most kSlots ASCII names of at most kNameBytesMax bytes; others are made anew each time.
class NameCache {
  public:
    // A new reference to the str, or nullptr with a Python error set (UnicodeDecodeError where `name` is not UTF-8).
    PyObject* get(std::string_view name) {
        if (name.size() > kNameBytesMax) return decode(name);
        PyObject*& slot = slots_[hash(name) % kSlots];
        if (slot == nullptr || !same(slot, name)) {
            PyObject* fresh = decode(name);
            if (fresh == nullptr || !PyUnicode_IS_ASCII(fresh)) return fresh;
            Py_XDECREF(slot);
            slot = fresh;
        }
        return Py_NewRef(slot);
    }

  private:
    static constexpr std::size_t kSlots = 1024;
    static constexpr std::size_t kNameBytesMax = 64;

    static PyObject* decode(std::string_view name) {
        return PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), nullptr);
    }

    static bool same(PyObject* str, std::string_view name) {
        return static_cast<std::size_t>(PyUnicode_GET_LENGTH(str)) == name.size() &&
               std::memcmp(PyUnicode_1BYTE_DATA(str), name.data(), name.size()) == 0;
    }

    static std::uint64_t hash(std::string_view name) {
        constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
        std::uint64_t state = name.size();
        while (!name.empty()) {
            std::uint64_t word = 0;
            const std::size_t size = name.size() < 8 ? name.size() : 8;
            std::memcpy(&word, name.data(), size);
            state = (state ^ word) * kMultiplier;
            state ^= state >> 29;
            name.remove_prefix(size);
        }
        return state;
    }

    std::array<PyObject*, kSlots> slots_{};
};

}  // namespace lutra
