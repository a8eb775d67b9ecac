#include "geo_text.h"

#include <charconv>
#include <system_error>

namespace lutra::geo {

namespace {

constexpr std::string_view kSpace = " \t\n\r";

std::optional<double> read_number(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) return std::nullopt;
    text = text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
    if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (end != text.data() + text.size()) return std::nullopt;
    if (error != std::errc()) return std::nullopt;
    return number + 0.0;  // -0 becomes 0
}

}  // namespace

std::optional<Point> read_point(std::string_view text) {
    const std::size_t comma = text.find(',');
    if (comma == std::string_view::npos) return std::nullopt;
    const std::optional<double> lat = read_number(text.substr(0, comma)), lon = read_number(text.substr(comma + 1));
    if (!lat || !lon || !is_point({*lat, *lon})) return std::nullopt;
    return Point{*lat, *lon};
}

}  // namespace lutra::geo
