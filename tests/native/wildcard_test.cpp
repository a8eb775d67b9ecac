// Patterns without Python, on strings that end where what may be read ends: against one that tries everything.
#include "wildcard.h"

#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "guarded.h"

namespace {

std::size_t character(std::string_view string) {
    std::size_t size = 1;
    while (size < string.size() && (static_cast<unsigned char>(string[size]) & 0xC0) == 0x80) ++size;
    return size;
}

bool plain_matches(std::string_view string, std::string_view pattern) {
    if (pattern.empty()) return string.empty();
    if (pattern[0] == '*') {
        if (plain_matches(string, pattern.substr(1))) return true;
        return !string.empty() && plain_matches(string.substr(character(string)), pattern);
    }
    if (string.empty()) return false;
    if (pattern[0] == '?') return plain_matches(string.substr(character(string)), pattern.substr(1));
    return pattern[0] == string[0] && plain_matches(string.substr(1), pattern.substr(1));
}

std::string random_string(std::mt19937_64& random, const std::vector<std::string>& parts, std::size_t parts_max) {
    std::string string;
    for (std::size_t left = random() % (parts_max + 1); left > 0; --left) string += parts[random() % parts.size()];
    return string;
}

}  // namespace

int main() {
    std::mt19937_64 random(7);
    const std::vector<std::string> characters = {"a", "b", "*", "?", "\xC3\xA9", "\xE6\xA2\xA8", "\xF0\x9F\x91\x8D"};
    // Bytes that are no characters: no text has them, and nothing may be read for them that is not there.
    const std::vector<std::string> bytes = {"a", "*", "?", "\xF0", "\x9F", "\xFF"};
    for (int round = 0; round < 20'000; ++round) {
        const bool is_text = round % 4 != 0;
        const std::string string = random_string(random, is_text ? characters : bytes, 7);
        const std::string pattern = random_string(random, is_text ? characters : bytes, 7);
        const Guarded place(string.size());
        std::memcpy(place.get(), string.data(), string.size());
        const std::string_view guarded(reinterpret_cast<const char*>(place.get()), string.size());
        const lutra::Wildcard wildcard(pattern);
        const bool matches = wildcard.matches(guarded);
        if (is_text) CHECK(matches == plain_matches(guarded, pattern));
        if (matches) CHECK(string.starts_with(wildcard.prefix()));
    }
}
