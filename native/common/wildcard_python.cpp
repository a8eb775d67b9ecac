// Which strings of a list are like a pattern. The GIL is released.
#include "wildcard.h"

#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Flags = nb::ndarray<nb::numpy, bool, nb::ndim<1>>;

template <class Test>
Flags each(const nb::list& strings, std::size_t count, const Test& test) {
    count = std::min(count, strings.size());
    std::vector<std::string_view> views(count);
    for (std::size_t i = 0; i < count; ++i) {
        const nb::handle item = strings[i];
        if (!PyBytes_Check(item.ptr())) throw nb::type_error("a list of bytes is wanted");
        // The list keeps its strings, and nobody takes any of them from it.
        views[i] = {PyBytes_AS_STRING(item.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(item.ptr()))};
    }
    auto* flags = new bool[count];
    nb::capsule owner(flags, [](void* p) noexcept { delete[] static_cast<bool*>(p); });
    {
        nb::gil_scoped_release no_gil;
        for (std::size_t i = 0; i < count; ++i) flags[i] = test(views[i]);
    }
    return Flags(flags, {count}, owner);
}

std::string_view view_of(const nb::bytes& bytes) {
    return {bytes.c_str(), bytes.size()};
}

Flags py_like(const nb::list& strings, std::size_t count, const nb::bytes& pattern) {
    const Wildcard wildcard(view_of(pattern));
    return each(strings, count, [&](std::string_view string) { return wildcard.matches(string); });
}

Flags py_ends_with(const nb::list& strings, std::size_t count, const nb::bytes& suffix) {
    const std::string_view end = view_of(suffix);
    return each(strings, count, [&](std::string_view string) { return string.ends_with(end); });
}

}  // namespace

void bind_wildcard(nb::module_& m) {
    m.def("like", &py_like, "strings"_a, "count"_a, "pattern"_a);
    m.def("ends_with", &py_ends_with, "strings"_a, "count"_a, "suffix"_a);
}

}  // namespace lutra
