// Terms that are like a pattern, and the documents that have one of them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text_part.h"
#include "text_query.h"

namespace lutra::text {

enum class PatternKind { kPrefix = 0, kSuffix = 1, kWildcard = 2 };

// In a wildcard `*` stands for any characters, none too, `?` for one of UTF-8; nothing takes their meaning from them.
struct Pattern {
    PatternKind kind;
    std::string_view text;

    bool fits(std::string_view term) const;
    // With which all that fit begin.
    std::string_view beginning() const;
};

// Documents with a term that fits. A prefix reads these terms only, as does a wildcard with those that begin as it
// does up to its first sign; a suffix looks at all terms.
Words like(const Part& part, const Pattern& pattern);

// The first `most` terms that fit, in their order.
std::vector<std::string> terms_like(const Part& part, const Pattern& pattern, std::size_t most);

}  // namespace lutra::text
