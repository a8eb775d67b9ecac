// How the words of a TEXT field lie in a stream (docs/design/0013): the numbers that writer and readers share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "text_packing.h"

namespace lutra::text {

inline constexpr std::uint32_t kFormat = 1;
inline constexpr std::uint32_t kDocsMax = 0x7fffffff;
// Terms that are longer count by their first bytes, up to the end of a character.
inline constexpr std::size_t kTermBytesMax = 1024;
// Tokens of one document.
inline constexpr std::uint32_t kTokensMax = 1 << 20;
inline constexpr std::uint32_t kPositionMax = 0x7fffffff;

// Terms with fewer documents have no impacts: their documents are few enough to be looked at.
inline constexpr std::uint32_t kImpactsFrom = 8;
inline constexpr std::size_t kImpactBytes = 8;
// Last document u32, begin of documents u40, begin of positions u40, impacts.
inline constexpr std::size_t kSkipBytes = 14 + kImpactBytes;
inline constexpr std::uint32_t kTermsPerBlock = 64;

constexpr std::uint32_t blocks_of(std::uint32_t documents) {
    return documents / kBlockDocs + (documents % kBlockDocs != 0);
}

inline std::string_view clipped(std::string_view term) {
    if (term.size() <= kTermBytesMax) return term;
    std::size_t size = kTermBytesMax;
    while (size > 0 && (static_cast<unsigned char>(term[size]) & 0xc0) == 0x80) --size;
    return term.substr(0, size);
}

// What bounds the score of some documents whatever the statistics: by how often the term is in a document, once, twice
// or more often, the least length of such a document; and the most often it is in any. Lengths and numbers that do not
// fit say the largest: of lengths that is less than they are, of numbers it stands for any.
struct Impacts {
    static constexpr std::uint16_t kMost = 0xffff;

    std::uint16_t once = kMost, twice = kMost, more = kMost;
    std::uint16_t frequency = 0;  // 0: none has it more than twice

    void add(std::uint32_t times, std::uint32_t length) {
        const auto least = static_cast<std::uint16_t>(std::min<std::uint32_t>(length, kMost));
        std::uint16_t& of = times == 1 ? once : times == 2 ? twice : more;
        of = std::min(of, least);
        if (times > 2) frequency = std::max(frequency, static_cast<std::uint16_t>(std::min<std::uint32_t>(times, kMost)));
    }
    void add(const Impacts& other) {
        once = std::min(once, other.once);
        twice = std::min(twice, other.twice);
        more = std::min(more, other.more);
        frequency = std::max(frequency, other.frequency);
    }
    bool operator==(const Impacts&) const = default;
};
static_assert(sizeof(Impacts) == kImpactBytes);

inline void put_number(std::string& out, std::uint64_t value, unsigned bytes) {
    out.append(reinterpret_cast<const char*>(&value), bytes);
}

inline std::uint64_t get_number(const std::uint8_t* data, unsigned bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, data, bytes);
    return value;
}

inline void put_varint(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}

// Moves `at` past a number that ends before `end`. False where there is none.
inline bool get_varint(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        const std::uint8_t byte = *at++;
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

// A term's place among the others, and how much there is of it.
struct TermEntry {
    std::uint32_t documents = 0;
    std::uint64_t occurrences = 0;
    std::uint64_t begin = 0;           // of what is about its documents, in the postings
    std::uint64_t document_bytes = 0;  // impacts, skips, blocks of documents
    std::uint64_t position_bytes = 0;  // which follow
};

}  // namespace lutra::text
