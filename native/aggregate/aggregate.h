// Sums, extremes and counts of values by group, and the numbering of keys: what aggregations do for each value.
//
// Values belong to groups: groups[i] is that of values[i], from 0 on; where groups is null, all belong to group 0.
// What is summed comes out the same in any order but for the last bit: doubles carry what rounding cut off, whole
// numbers have 128 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lutra {

// Adds to sums and rests (by group); the sum of a group is sums + rests, or sums alone where that is not finite
// (Neumaier, 1974).
void add_doubles(const double* values, const std::int32_t* groups, std::size_t count, double* sums, double* rests);

// Adds to numbers of 128 bits in two's complement, by group.
void add_longs(const std::int64_t* values, const std::int32_t* groups, std::size_t count, std::int64_t* highs,
               std::uint64_t* lows);

// Lowers least and raises most, by group.
void extend(const double* values, const std::int32_t* groups, std::size_t count, double* least, double* most);
void extend(const std::int64_t* values, const std::int32_t* groups, std::size_t count, std::int64_t* least,
            std::int64_t* most);

void add_counts(const std::int32_t* groups, std::size_t count, std::int64_t* counts);

// Whether each is from 0 to limit - 1.
bool all_below(const std::int32_t* groups, std::size_t count, std::int32_t limit);

// Numbers keys in the order in which they first come: numbers[i] is that of keys[i]. Returns the keys by number.
// Stops, and returns one key more than `most`, where there are more.
std::vector<std::int64_t> number_keys(const std::int64_t* keys, std::size_t count, std::size_t most,
                                      std::int32_t* numbers);

}  // namespace lutra
