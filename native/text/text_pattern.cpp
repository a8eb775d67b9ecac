#include "text_pattern.h"

#include <memory>

#include "wildcard.h"

namespace lutra::text {

namespace {

// Nanoseconds that a term takes, roughly.
constexpr std::size_t kTermNs = 100;

template <class Look>
void each_like(const Part& part, const Pattern& pattern, const Look& look) {
    const std::unique_ptr<TermCursor> terms = part.terms(pattern.beginning(), false);
    Pace pace;
    while (terms->next()) {
        pace.step(kTermNs);
        if (pattern.fits(terms->term()) && !look(*terms)) return;
    }
}

}  // namespace

bool Pattern::fits(std::string_view term) const {
    switch (kind) {
        case PatternKind::kPrefix: return term.starts_with(text);
        case PatternKind::kSuffix: return term.ends_with(text);
        case PatternKind::kWildcard: return Wildcard(text).matches(term);
    }
    return false;
}

std::string_view Pattern::beginning() const {
    if (kind == PatternKind::kPrefix) return text;
    if (kind == PatternKind::kSuffix) return {};
    return Wildcard(text).prefix();
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
