// Vectors out of the values of table columns.
#pragma once

#include <cstddef>
#include <string_view>

namespace lutra {

// Reads a JSON array of `dimension` numbers, each rounded to the nearest float32. False, and `vector` is in no defined
// state, where `text` is not that or a number is beyond float32.
bool read_json_vector(std::string_view text, std::size_t dimension, float* vector);

// Reads `dimension` little-endian float32. False where `data` is not that or an element is not finite.
bool read_binary_vector(std::string_view data, std::size_t dimension, float* vector);

}  // namespace lutra
