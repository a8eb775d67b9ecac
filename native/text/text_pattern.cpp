#include "text_pattern.h"

#include <memory>

namespace lutra::text {

namespace {

// Past the character of UTF-8 that begins at `at`; past one byte where it is none.
std::size_t after_character(std::string_view text, std::size_t at) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
    return at;
}

// Goes back to the last `*` only, which is enough: what an earlier one took, it may keep.
bool is_like(std::string_view term, std::string_view pattern) {
    constexpr std::size_t kNone = std::string_view::npos;
    std::size_t at = 0, sign = 0, star = kNone, taken = 0;
    while (at < term.size()) {
        if (sign < pattern.size() && pattern[sign] == '*') {
            star = sign++;
            taken = at;
        } else if (sign < pattern.size() && pattern[sign] == '?') {
            at = after_character(term, at);
            ++sign;
        } else if (sign < pattern.size() && pattern[sign] == term[at]) {
            ++at;
            ++sign;
        } else if (star != kNone) {
            at = taken = after_character(term, taken);
            sign = star + 1;
        } else {
            return false;
        }
    }
    while (sign < pattern.size() && pattern[sign] == '*') ++sign;
    return sign == pattern.size();
}

template <class Look>
void each_like(const Part& part, const Pattern& pattern, const Look& look) {
    const std::unique_ptr<TermCursor> terms = part.terms(pattern.beginning(), false);
    while (terms->next()) {
        if (pattern.fits(terms->term()) && !look(*terms)) return;
    }
}

}  // namespace

bool Pattern::fits(std::string_view term) const {
    switch (kind) {
        case PatternKind::kPrefix: return term.starts_with(text);
        case PatternKind::kSuffix: return term.ends_with(text);
        case PatternKind::kWildcard: return is_like(term, text);
    }
    return false;
}

std::string_view Pattern::beginning() const {
    if (kind == PatternKind::kPrefix) return text;
    if (kind == PatternKind::kSuffix) return {};
    return text.substr(0, text.find_first_of("*?"));
}

Words like(const Part& part, const Pattern& pattern) {
    Words found((std::size_t{part.size()} + 63) / 64);
    each_like(part, pattern, [&](TermCursor& terms) {
        terms.postings()->each(0, kNoDoc - 1, [&](std::uint32_t doc, std::uint32_t) {
            found[doc / 64] |= std::uint64_t{1} << doc % 64;
        });
        return true;
    });
    return found;
}

std::vector<std::string> terms_like(const Part& part, const Pattern& pattern, std::size_t most) {
    std::vector<std::string> found;
    if (most == 0) return found;
    each_like(part, pattern, [&](TermCursor& terms) {
        found.emplace_back(terms.term());
        return found.size() < most;
    });
    return found;
}

}  // namespace lutra::text
