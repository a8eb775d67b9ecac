// Which strings are like a pattern. Strings and patterns are UTF-8; what is not well-formed is compared byte by byte.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace lutra {

// In a pattern `*` stands for any characters, none too, and `?` for one. Nothing takes their meaning from them.
class Wildcard {
  public:
    // `pattern` must outlive it.
    explicit Wildcard(std::string_view pattern) : pattern_(pattern) {}

    // What every string that is like it begins with.
    std::string_view prefix() const {
        return pattern_.substr(0, pattern_.find_first_of("*?"));
    }

    // Takes at most about as many steps as the string has bytes times those of the pattern: of the stars only the last
    // one that was passed is ever tried again, as all before it had better stand for less.
    bool matches(std::string_view string) const {
        const char* pattern = pattern_.data();
        const std::size_t pattern_size = pattern_.size(), size = string.size();
        std::size_t at = 0, place = 0;  // of the pattern, of the string
        std::size_t star = kNone, tried = 0;
        while (place < size) {
            if (at < pattern_size && pattern[at] == '*') {
                star = ++at;
                if (star == pattern_size) return true;
                tried = place;
            } else if (at < pattern_size && pattern[at] == '?') {
                ++at;
                place = after(string, place);
            } else if (at < pattern_size && pattern[at] == string[place]) {
                ++at;
                ++place;
            } else if (star != kNone) {
                tried = next_try(string, tried, pattern[star]);
                if (tried == kNone) return false;
                at = star;
                place = tried;
            } else {
                return false;
            }
        }
        while (at < pattern_size && pattern[at] == '*') ++at;
        return at == pattern_size;
    }

  private:
    static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

    // Where the character after that at `place` begins.
    static std::size_t after(std::string_view string, std::size_t place) {
        ++place;
        while (place < string.size() && (static_cast<unsigned char>(string[place]) & 0xC0) == 0x80) ++place;
        return place;
    }

    // Where a star that reached to `place` may reach to next, if `wanted` comes after it; kNone where nowhere.
    static std::size_t next_try(std::string_view string, std::size_t place, char wanted) {
        place = after(string, place);
        if (wanted == '?') return place;
        if (place >= string.size()) return kNone;
        const void* found = std::memchr(string.data() + place, wanted, string.size() - place);
        return found == nullptr ? kNone : static_cast<std::size_t>(static_cast<const char*>(found) - string.data());
    }

    std::string_view pattern_;
};

}  // namespace lutra
