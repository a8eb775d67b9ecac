// Masks of rows for Python: made, combined and read without an array of a byte a row.
#include <nanobind/ndarray.h>
#include <nanobind/operators.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "arrays_python.h"
#include "bindings.h"
#include "row_mask.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Bools = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Bits = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Rows = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using AnyRows = nb::ndarray<nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

using Unlocked = MaybeUnlocked<std::size_t{1} << 20>;  // by rows

nb::object bools_of(std::size_t size, auto&& fill) {
    std::unique_ptr<bool[]> kept(new bool[size]());
    bool* data = kept.get();
    fill(data);
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<bool*>(p); });
    kept.release();
    return nb::ndarray<nb::numpy, bool, nb::ndim<1>>(data, {size}, owner).cast();
}

// Calls with(rows), which are integers of any type.
template <class With>
auto with_rows_of(const AnyRows& rows, const With& with) {
    const auto type = rows.dtype();
    if (type == nb::dtype<std::int64_t>()) return with(static_cast<const std::int64_t*>(rows.data()));
    if (type == nb::dtype<std::int32_t>()) return with(static_cast<const std::int32_t*>(rows.data()));
    if (type == nb::dtype<std::uint32_t>()) return with(static_cast<const std::uint32_t*>(rows.data()));
    if (type == nb::dtype<std::uint16_t>()) return with(static_cast<const std::uint16_t*>(rows.data()));
    if (type == nb::dtype<std::uint8_t>()) return with(static_cast<const std::uint8_t*>(rows.data()));
    throw nb::type_error("rows are integers of 64 or 32 bits, or of 32, 16 or 8 without a sign");
}

// Calls each(row) of all `rows`. Throws std::out_of_range where one is no row of `row_count`.
template <class Each>
void each_row(const AnyRows& rows, std::size_t row_count, const Each& each) {
    with_rows_of(rows, [&](const auto* data) {
        for (std::size_t i = 0; i < rows.shape(0); ++i) {
            const auto row = static_cast<std::size_t>(data[i]);  // a negative one is larger than any
            if (row >= row_count) throw std::out_of_range("row " + std::to_string(data[i]) + " is none of the mask's");
            each(i, row);
        }
    });
}

RowMask changed(const RowMask& mask, const AnyRows& rows, bool counts) {
    const Unlocked unlocked(mask.row_count());
    std::vector<std::uint64_t> words = mask.words();
    each_row(rows, mask.row_count(), [&](std::size_t, std::size_t row) {
        const std::uint64_t bit = std::uint64_t{1} << row % 64;
        if (counts) {
            words[row / 64] |= bit;
        } else {
            words[row / 64] &= ~bit;
        }
    });
    return RowMask(std::move(words), mask.row_count());
}

RowMask uniform(std::size_t rows, bool counts) {
    return RowMask(std::vector<std::uint64_t>((rows + 63) / 64, counts ? ~std::uint64_t{0} : 0), rows);
}

RowMask of_bits(const Bits& bits, std::size_t rows) {
    if (bits.shape(0) != (rows + 7) / 8) throw std::invalid_argument("the bits are not those of so many rows");
    std::vector<std::uint64_t> words((rows + 63) / 64);
    std::memcpy(words.data(), bits.data(), bits.shape(0));
    return RowMask(std::move(words), rows);
}

RowMask extended(const RowMask& mask, std::size_t more) {
    const std::size_t begin = mask.row_count(), end = begin + more;
    std::vector<std::uint64_t> words((end + 63) / 64, ~std::uint64_t{0});
    std::copy(mask.words().begin(), mask.words().end(), words.begin());
    if (begin % 64 != 0) words[begin / 64] |= ~std::uint64_t{0} << begin % 64;
    return RowMask(std::move(words), end);
}

// Row i counts where row rows[i] of `mask` does.
RowMask turned(const RowMask& mask, const AnyRows& rows) {
    const Unlocked unlocked(rows.shape(0));
    std::vector<std::uint64_t> words((rows.shape(0) + 63) / 64);
    if (rows.dtype() == nb::dtype<std::int32_t>()) {
        const auto* data = static_cast<const std::int32_t*>(rows.data());
        if (look_up(mask, data, rows.shape(0), simd_levels().front(), words.data())) {
            return RowMask(std::move(words), rows.shape(0));
        }
        std::fill(words.begin(), words.end(), std::uint64_t{0});  // which of them is none of the mask's is told below
    }
    each_row(rows, mask.row_count(), [&](std::size_t i, std::size_t row) {
        words[i / 64] |= static_cast<std::uint64_t>(mask.contains(row)) << i % 64;
    });
    return RowMask(std::move(words), rows.shape(0));
}

// Row rows[i] counts where row i of `mask` does: what `turned` turns, turned back.
RowMask gathered(const RowMask& mask, const AnyRows& rows, std::size_t row_count) {
    if (rows.shape(0) != mask.row_count()) throw std::invalid_argument("there is not one row for each of the mask's");
    const Unlocked unlocked(mask.row_count());
    std::vector<std::uint64_t> words((row_count + 63) / 64);
    with_rows_of(rows, [&](const auto* data) {
        mask.each(0, mask.row_count(), [&](std::size_t i) {
            const auto row = static_cast<std::size_t>(data[i]);  // a negative one is larger than any
            if (row >= row_count) throw std::out_of_range("row " + std::to_string(data[i]) + " is none of the mask's");
            words[row / 64] |= std::uint64_t{1} << row % 64;
        });
    });
    return RowMask(std::move(words), row_count);
}

std::vector<std::int64_t> sampled(const RowMask& mask, std::size_t most) {
    const std::vector<std::uint32_t> spread = evenly_spread(mask, most);
    return {spread.begin(), spread.end()};
}

}  // namespace

void bind_row_mask(nb::module_& m) {
    const SimdLevel level = simd_levels().front();
    nb::class_<RowMask>(m, "RowMask")
        .def(
            "__init__",
            [](RowMask* self, const Bools& counts) {
                const Unlocked unlocked(counts.shape(0));
                new (self) RowMask(reinterpret_cast<const std::uint8_t*>(counts.data()), counts.shape(0));
            },
            "counts"_a.noconvert())
        .def_static("all", [](std::size_t rows) { return uniform(rows, true); }, "rows"_a)
        .def_static("none", [](std::size_t rows) { return uniform(rows, false); }, "rows"_a)
        .def_static("of_bits", &of_bits, "bits"_a.noconvert(), "rows"_a)
        .def_static(
            "of_rows", [](const AnyRows& ids, std::size_t rows) { return changed(uniform(rows, false), ids, true); },
            "ids"_a.noconvert(), "rows"_a)
        .def_static(
            "at_least",
            [](std::size_t needed, const std::vector<const RowMask*>& masks, std::size_t rows) {
                const bool fit = std::all_of(masks.begin(), masks.end(), [rows](const RowMask* mask) {
                    return mask != nullptr && mask->row_count() == rows;
                });
                if (!fit) throw std::invalid_argument("masks of different numbers of rows");
                const Unlocked unlocked(rows);
                return at_least(needed, masks, rows);
            },
            "needed"_a, "masks"_a, "rows"_a)
        .def_prop_ro("rows", &RowMask::row_count)
        .def_prop_ro("count", &RowMask::count)
        .def(
            "__and__",
            [level](const RowMask& one, const RowMask& other) {
                const Unlocked unlocked(one.row_count());
                return both(one, other, level);
            },
            nb::is_operator())
        .def(
            "__or__",
            [level](const RowMask& one, const RowMask& other) {
                const Unlocked unlocked(one.row_count());
                return either(one, other, level);
            },
            nb::is_operator())
        .def(
            "__sub__",
            [level](const RowMask& one, const RowMask& other) {
                const Unlocked unlocked(one.row_count());
                return without(one, other, level);
            },
            nb::is_operator())
        .def(
            "__eq__",
            [](const RowMask& one, const RowMask& other) {
                return one.row_count() == other.row_count() && one.words() == other.words();
            },
            nb::is_operator())
        .def("plus", [](const RowMask& mask, const AnyRows& ids) { return changed(mask, ids, true); },
             "ids"_a.noconvert())
        .def("minus", [](const RowMask& mask, const AnyRows& ids) { return changed(mask, ids, false); },
             "ids"_a.noconvert())
        .def("extended", &extended, "more"_a)
        .def("turned", &turned, "ids"_a.noconvert())
        .def("gathered", &gathered, "ids"_a.noconvert(), "rows"_a)
        .def(
            "ids",
            [](const RowMask& mask) {
                std::vector<std::int64_t> rows;
                {
                    const Unlocked unlocked(mask.row_count());
                    rows = first_rows(mask, mask.count(), false);
                }
                return array_of(std::move(rows));
            })
        .def("first", [](const RowMask& mask, std::size_t most,
                         bool descending) { return array_of(first_rows(mask, most, descending)); },
             "most"_a, "descending"_a = false)
        .def("sample", [](const RowMask& mask, std::size_t most) { return array_of(sampled(mask, most)); }, "most"_a)
        .def(
            "has",
            [](const RowMask& mask, const AnyRows& ids) {
                return bools_of(ids.shape(0), [&](bool* found) {
                    each_row(ids, mask.row_count(), [&](std::size_t i, std::size_t row) { found[i] = mask.contains(row); });
                });
            },
            "ids"_a.noconvert())
        .def("bools", [](const RowMask& mask) {
            return bools_of(mask.row_count(), [&](bool* counts) {
                mask.each(0, mask.row_count(), [counts](std::size_t row) { counts[row] = true; });
            });
        });
}

}  // namespace lutra
