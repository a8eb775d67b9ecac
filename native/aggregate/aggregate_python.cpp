// Sums, extremes, counts and numbers of keys over numpy arrays. The GIL is released.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "aggregate.h"
#include "bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

template <class T>
using Array = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Groups = std::optional<Array<std::int32_t>>;

template <class T>
struct NewArray {
    explicit NewArray(std::size_t size, T first) : kept(new T[size]), data(kept.get()), size(size) {
        std::fill_n(data, size, first);
    }

    nb::object handed_over() {
        nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
        kept.release();
        return nb::ndarray<nb::numpy, T, nb::ndim<1>>(data, {size}, owner).cast();
    }

    std::unique_ptr<T[]> kept;  // until numpy keeps it
    T* data;
    std::size_t size;
};

// The groups of so many values; null where all belong to the only one.
const std::int32_t* checked(const Groups& groups, std::size_t values, std::int32_t count) {
    if (count < 0) throw std::invalid_argument("there are less than no groups");
    if (!groups) {
        if (count < 1) throw std::invalid_argument("values belong to a group");
        return nullptr;
    }
    if (groups->shape(0) != values) throw std::invalid_argument("values and their groups are not equally many");
    if (!all_below(groups->data(), values, count)) throw std::out_of_range("a group is none of those there are");
    return groups->data();
}

nb::tuple py_double_sums(const Array<double>& values, const Groups& groups, std::int32_t count) {
    const std::int32_t* of = checked(groups, values.shape(0), count);
    NewArray<double> sums(count, 0.0), rests(count, 0.0);
    {
        nb::gil_scoped_release no_gil;
        add_doubles(values.data(), of, values.shape(0), sums.data, rests.data);
    }
    return nb::make_tuple(sums.handed_over(), rests.handed_over());
}

nb::tuple py_long_sums(const Array<std::int64_t>& values, const Groups& groups, std::int32_t count) {
    const std::int32_t* of = checked(groups, values.shape(0), count);
    NewArray<std::int64_t> highs(count, 0);
    NewArray<std::uint64_t> lows(count, 0);
    {
        nb::gil_scoped_release no_gil;
        add_longs(values.data(), of, values.shape(0), highs.data, lows.data);
    }
    return nb::make_tuple(highs.handed_over(), lows.handed_over());
}

template <class T>
nb::tuple py_extremes(const Array<T>& values, const Groups& groups, std::int32_t count) {
    using Limits = std::numeric_limits<T>;
    const std::int32_t* of = checked(groups, values.shape(0), count);
    NewArray<T> least(count, Limits::has_infinity ? Limits::infinity() : Limits::max());
    NewArray<T> most(count, Limits::has_infinity ? -Limits::infinity() : Limits::lowest());
    {
        nb::gil_scoped_release no_gil;
        extend(values.data(), of, values.shape(0), least.data, most.data);
    }
    return nb::make_tuple(least.handed_over(), most.handed_over());
}

nb::object py_counts(const Array<std::int32_t>& groups, std::int32_t count) {
    const std::int32_t* of = checked(groups, groups.shape(0), count);
    NewArray<std::int64_t> counts(count, 0);
    {
        nb::gil_scoped_release no_gil;
        add_counts(of, groups.shape(0), counts.data);
    }
    return counts.handed_over();
}

nb::tuple py_number_keys(const Array<std::int64_t>& keys) {
    constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());
    NewArray<std::int32_t> numbers(keys.shape(0), 0);
    nb::object handed_over = numbers.handed_over();
    std::vector<std::int64_t> distinct;
    {
        nb::gil_scoped_release no_gil;
        distinct = number_keys(keys.data(), keys.shape(0), kMost, numbers.data);
    }
    if (distinct.size() > kMost) throw std::invalid_argument("more than 2^31 - 1 distinct keys");
    NewArray<std::int64_t> by_number(distinct.size(), 0);
    std::copy(distinct.begin(), distinct.end(), by_number.data);
    return nb::make_tuple(std::move(handed_over), by_number.handed_over());
}

}  // namespace

void bind_aggregate(nb::module_& m) {
    m.def("double_sums", &py_double_sums, "values"_a, "groups"_a.none(), "count"_a);
    m.def("long_sums", &py_long_sums, "values"_a, "groups"_a.none(), "count"_a);
    m.def("extremes", &py_extremes<double>, "values"_a, "groups"_a.none(), "count"_a);
    m.def("extremes", &py_extremes<std::int64_t>, "values"_a, "groups"_a.none(), "count"_a);
    m.def("group_counts", &py_counts, "groups"_a, "count"_a);
    m.def("number_keys", &py_number_keys, "keys"_a);
}

}  // namespace lutra
