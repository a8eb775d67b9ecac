#include "code_reduction.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "codes.h"

namespace lutra {

namespace {

// Calls each(dimension, byte, shift) for the codes of a record in the order of its bytes (see codes.h).
template <class Each>
void for_each_code(std::size_t code_bytes, unsigned bits, const Each& each) {
    std::size_t dimension = 0;
    for (std::size_t begin = 0; begin < code_bytes; begin += kCodeBlockBytes) {
        const std::size_t width = std::min(kCodeBlockBytes, code_bytes - begin);
        for (unsigned shift = 0; shift < 8; shift += bits) {
            for (std::size_t j = 0; j < width; ++j) each(dimension++, begin + j, shift);
        }
    }
}

struct Products {
    std::int64_t squared = 0;          // of the code
    std::int64_t both = 0;             // of the code and the reduced one
    std::int64_t reduced_squared = 0;
};

// The code stands for r = t c - e with e orthogonal to r; the reduced one is fitted to it as codes.cpp fits a code
// to r.
CodeFactors reduced_factors(const CodeFactors& factors, const Products& products) {
    if (factors.scale() == 0) return factors;
    const auto [norm, scale, ratio] = unpack_factors(factors);
    const double reduced_scale = scale * static_cast<double>(products.squared) / static_cast<double>(products.both);
    const double error = norm * ratio;
    const double residual = scale * scale * static_cast<double>(products.squared) - error * error;
    const double wrong = reduced_scale * reduced_scale * static_cast<double>(products.reduced_squared) - residual;
    const auto reduced_ratio = static_cast<float>(std::sqrt(std::max(0.0, wrong)) / norm);
    if (!factors.is_ordinary()) return with_lengths(pack_factors(1, 1, reduced_ratio), norm, reduced_scale);
    return pack_factors(factors.norm, static_cast<float>(reduced_scale), reduced_ratio);
}

}  // namespace

void reduce_codes(std::size_t padded_dimension, unsigned bits, unsigned reduced_bits, const std::uint8_t* records,
                  std::size_t count, std::uint8_t* reduced) {
    const std::size_t code_bytes = padded_dimension * bits / 8;
    const std::size_t reduced_bytes = padded_dimension * reduced_bits / 8;
    const int odd = (1 << bits) - 1, reduced_odd = (1 << reduced_bits) - 1;
    const unsigned mask = (1u << bits) - 1;
    std::vector<std::uint8_t> levels(padded_dimension);
    for (std::size_t row = 0; row < count; ++row) {
        Products products;
        for_each_code(code_bytes, bits, [&](std::size_t dimension, std::size_t byte, unsigned shift) {
            const int level = static_cast<int>(records[byte] >> shift & mask);
            const int reduced_level = level >> (bits - reduced_bits);
            const int code = 2 * level - odd, reduced_code = 2 * reduced_level - reduced_odd;
            products.squared += code * code;
            products.both += code * reduced_code;
            products.reduced_squared += reduced_code * reduced_code;
            levels[dimension] = static_cast<std::uint8_t>(reduced_level);
        });
        std::memset(reduced, 0, reduced_bytes);
        for_each_code(reduced_bytes, reduced_bits, [&](std::size_t dimension, std::size_t byte, unsigned shift) {
            reduced[byte] = static_cast<std::uint8_t>(reduced[byte] | levels[dimension] << shift);
        });
        CodeFactors factors;
        std::memcpy(&factors, records + code_bytes, sizeof factors);
        const CodeFactors fitted = reduced_factors(factors, products);
        std::memcpy(reduced + reduced_bytes, &fitted, sizeof fitted);
        records += code_bytes + kCodeFactorBytes;
        reduced += reduced_bytes + kCodeFactorBytes;
    }
}

}  // namespace lutra
