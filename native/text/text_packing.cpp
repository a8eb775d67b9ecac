#include "text_packing.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace lutra::text {

static_assert(std::endian::native == std::endian::little, "packed numbers are read as they lie");

namespace {

using Four = std::uint32_t __attribute__((vector_size(16)));
constexpr unsigned kGroups = kBlockDocs / 4;

Four load(const void* from) {
    Four value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <unsigned width>
void unpack(const std::uint8_t* packed, std::uint32_t* values) {
    constexpr std::uint32_t kMask = width == 32 ? ~std::uint32_t{0} : (std::uint32_t{1} << width) - 1;
    const Four mask = {kMask, kMask, kMask, kMask};
    [&]<unsigned... group>(std::integer_sequence<unsigned, group...>) {
        const auto one = [&]<unsigned i>() {
            constexpr unsigned kWord = i * width / 32, kShift = i * width % 32;
            Four value = load(packed + 16 * kWord) >> kShift;
            if constexpr (kShift + width > 32) value |= load(packed + 16 * (kWord + 1)) << (32 - kShift);
            value &= mask;
            std::memcpy(values + 4 * i, &value, sizeof value);
        };
        (one.template operator()<group>(), ...);
    }(std::make_integer_sequence<unsigned, kGroups>());
}

template <>
void unpack<0>(const std::uint8_t*, std::uint32_t* values) {
    std::memset(values, 0, kBlockDocs * sizeof *values);
}

using Unpack = void (*)(const std::uint8_t* packed, std::uint32_t* values);

constexpr std::array<Unpack, 33> kUnpack = []<unsigned... width>(std::integer_sequence<unsigned, width...>) {
    return std::array<Unpack, 33>{unpack<width>...};
}(std::make_integer_sequence<unsigned, 33>());

}  // namespace

unsigned width_of(std::uint32_t value) { return static_cast<unsigned>(std::bit_width(value)); }

void pack_block(const std::uint32_t* values, unsigned width, std::string& out) {
    std::uint32_t words[4 * 32] = {};
    for (unsigned i = 0; i < kBlockDocs; ++i) {
        const unsigned lane = i % 4, bit = i / 4 * width, shift = bit % 32;
        words[4 * (bit / 32) + lane] |= width == 0 ? 0 : values[i] << shift;
        if (shift + width > 32) words[4 * (bit / 32 + 1) + lane] |= values[i] >> (32 - shift);
    }
    out.append(reinterpret_cast<const char*>(words), std::size_t{16} * width);
}

void unpack_block(const std::uint8_t* packed, unsigned width, std::uint32_t* values) { kUnpack[width](packed, values); }

void sum_gaps(std::uint32_t* values, std::uint32_t before) {
    const Four zero = {}, one = {1, 1, 1, 1};
    Four last = {before, before, before, before};
    for (unsigned i = 0; i < kBlockDocs; i += 4) {
        Four value = load(values + i) + one;
        value += __builtin_shuffle(value, zero, Four{4, 0, 1, 2});
        value += __builtin_shuffle(value, zero, Four{4, 4, 0, 1});
        value += last;
        std::memcpy(values + i, &value, sizeof value);
        last = __builtin_shuffle(value, Four{3, 3, 3, 3});
    }
}

}  // namespace lutra::text
