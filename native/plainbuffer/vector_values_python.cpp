// Vectors out of the values of table columns, as numpy arrays. The texts are read without the GIL.
#include <nanobind/ndarray.h>

#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings.h"
#include "vector_values.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

struct Source {
    nb::object owner;  // keeps the bytes alive while the GIL is away
    std::string_view data;
    bool is_text;
};

// An empty view that is no vector, of a str that has no UTF-8 (lone surrogates).
std::string_view utf8_of(PyObject* text) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data == nullptr) {
        PyErr_Clear();
        return {};
    }
    return {data, static_cast<std::size_t>(size)};
}

std::vector<Source> sources_of(const nb::list& values) {
    std::vector<Source> sources;
    sources.reserve(values.size());
    for (nb::handle value : values) {
        PyObject* object = value.ptr();
        if (PyUnicode_Check(object)) {
            sources.push_back({nb::borrow(value), utf8_of(object), true});
        } else if (PyBytes_Check(object)) {
            const std::string_view data(PyBytes_AS_STRING(object), static_cast<std::size_t>(PyBytes_GET_SIZE(object)));
            sources.push_back({nb::borrow(value), data, false});
        } else {
            throw nb::type_error("a vector is read from str or bytes");
        }
    }
    return sources;
}

nb::tuple py_read_vectors(const nb::list& values, std::size_t dimension) {
    const std::vector<Source> sources = sources_of(values);
    const std::size_t count = sources.size();
    float* rows = new float[count * dimension];
    nb::capsule rows_owner(rows, [](void* p) noexcept { delete[] static_cast<float*>(p); });
    bool* good = new bool[count];
    nb::capsule good_owner(good, [](void* p) noexcept { delete[] static_cast<bool*>(p); });
    {
        nb::gil_scoped_release no_gil;
        for (std::size_t i = 0; i < count; ++i) {
            float* row = rows + i * dimension;
            good[i] = sources[i].is_text ? read_json_vector(sources[i].data, dimension, row)
                                         : read_binary_vector(sources[i].data, dimension, row);
        }
    }
    return nb::make_tuple(nb::ndarray<nb::numpy, float, nb::ndim<2>>(rows, {count, dimension}, rows_owner),
                          nb::ndarray<nb::numpy, bool, nb::ndim<1>>(good, {count}, good_owner));
}

}  // namespace

void bind_vector_values(nb::module_& m) { m.def("read_vectors", &py_read_vectors, "values"_a, "dimension"_a); }

}  // namespace lutra
