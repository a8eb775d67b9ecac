// CRC-32C over numpy arrays, one checksum a block. The GIL is released.
#include <nanobind/ndarray.h>

#include <algorithm>
#include <stdexcept>

#include "bindings.h"
#include "crc32c.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lutra {

namespace {

using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Checksums = nb::ndarray<nb::numpy, std::uint32_t, nb::ndim<1>>;

Checksums py_crc32c_blocks(const Bytes& data, std::size_t block_bytes, std::size_t covered_bytes) {
    if (block_bytes < 1) throw std::invalid_argument("a block has at least one byte");
    const std::size_t size = data.shape(0);
    const std::size_t count = size / block_bytes + (size % block_bytes != 0);
    auto* sums = new std::uint32_t[count];
    nb::capsule owner(sums, [](void* p) noexcept { delete[] static_cast<std::uint32_t*>(p); });
    {
        nb::gil_scoped_release no_gil;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t begin = i * block_bytes;
            sums[i] = crc32c(data.data() + begin, std::min({covered_bytes, block_bytes, size - begin}));
        }
    }
    return Checksums(sums, {count}, owner);
}

}  // namespace

void bind_checksum(nb::module_& m) {
    m.def("crc32c_blocks", &py_crc32c_blocks, "data"_a, "block_bytes"_a, "covered_bytes"_a);
}

}  // namespace lutra
