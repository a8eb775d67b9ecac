#include "vector_values.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>
#include <system_error>

namespace lutra {

static_assert(std::endian::native == std::endian::little, "binary vectors are copied as they are");

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

const char* skip_space(const char* at, const char* end) {
    while (at != end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) ++at;
    return at;
}

const char* skip_digits(const char* at, const char* end) {
    while (at != end && is_digit(*at)) ++at;
    return at;
}

// The end of the JSON number that begins at `at`; nullptr where none does.
const char* number_end(const char* at, const char* end) {
    if (at != end && *at == '-') ++at;
    if (at == end || !is_digit(*at)) return nullptr;
    at = *at == '0' ? at + 1 : skip_digits(at, end);
    if (at != end && *at == '.') {
        const char* digits = at + 1;
        at = skip_digits(digits, end);
        if (at == digits) return nullptr;
    }
    if (at != end && (*at == 'e' || *at == 'E')) {
        ++at;
        if (at != end && (*at == '+' || *at == '-')) ++at;
        const char* digits = at;
        at = skip_digits(digits, end);
        if (at == digits) return nullptr;
    }
    return at;
}

// Whether the number [at, end), which is not 0, is at least 1 in absolute value: tells too large from too small.
bool is_large(const char* at, const char* end) {
    const std::string_view text(at, static_cast<std::size_t>(end - at));
    const std::size_t mantissa_end = std::min(text.find_first_of("eE"), text.size());
    const std::size_t point = std::min(text.find('.'), mantissa_end);
    const std::size_t first = text.find_first_of("123456789");
    // The power of ten of the first significant digit, before the exponent counts.
    long long power = static_cast<long long>(point) - static_cast<long long>(first) - (first < point ? 1 : 0);
    if (mantissa_end < text.size()) {
        const char* digits = text.data() + mantissa_end + 1;
        const bool negative = *digits == '-';
        if (*digits == '-' || *digits == '+') ++digits;
        long long exponent = 0;
        if (std::from_chars(digits, end, exponent).ec != std::errc{}) return !negative;
        exponent = std::min(exponent, 1'000'000'000'000LL);  // no text is so long as to matter against that
        power += negative ? -exponent : exponent;
    }
    return power >= 0;
}

// Reads the number [at, end), whose form has been checked. False where it is beyond float32.
bool read_number(const char* at, const char* end, float* value) {
    std::from_chars_result result = std::from_chars(at, end, *value);
    if (result.ec == std::errc::result_out_of_range) {  // too large, or too small to tell from 0
        double wide = 0;
        result = std::from_chars(at, end, wide);
        if (result.ec == std::errc::result_out_of_range) {
            if (is_large(at, end)) return false;
            wide = 0;
        }
        *value = static_cast<float>(wide);
    }
    return std::isfinite(*value);
}

}  // namespace

bool read_json_vector(std::string_view text, std::size_t dimension, float* vector) {
    const char* end = text.data() + text.size();
    const char* at = skip_space(text.data(), end);
    if (at == end || *at != '[') return false;
    ++at;
    for (std::size_t i = 0; i < dimension; ++i) {
        if (i > 0) {
            if (at == end || *at != ',') return false;
            ++at;
        }
        at = skip_space(at, end);
        const char* after = number_end(at, end);
        if (after == nullptr || !read_number(at, after, vector + i)) return false;
        at = skip_space(after, end);
    }
    if (at == end || *at != ']') return false;
    return skip_space(at + 1, end) == end;
}

bool read_binary_vector(std::string_view data, std::size_t dimension, float* vector) {
    if (data.size() != dimension * sizeof(float)) return false;
    std::memcpy(vector, data.data(), data.size());
    bool finite = true;
    for (std::size_t i = 0; i < dimension; ++i) finite &= static_cast<bool>(std::isfinite(vector[i]));
    return finite;
}

}  // namespace lutra
