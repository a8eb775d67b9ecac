// Whether the words of a part are what they have to be, and whether two parts have the same.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text_segment.h"

namespace lutra::text {

// Reads all of a segment's words past the cache. What is wrong with them, in words; of much that is, the first things.
// Throws as reading does, but for what makes no sense.
std::vector<std::string> faults(const std::shared_ptr<const SegmentText>& text);

// Adds to each document's digest one of its words and their positions: the same for the same words, whatever the part.
// Two that differ have the same one with a chance of some 2^-64, drawn by `salt`.
void add_digests(const Part& part, std::uint64_t salt, std::span<std::uint64_t> digests);

}  // namespace lutra::text
