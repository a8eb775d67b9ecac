// Small unsigned numbers in as few bits as the largest of them takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lutra::text {

inline constexpr std::uint32_t kBlockDocs = 128;

// Bits that `value` takes; 0 for 0.
unsigned width_of(std::uint32_t value);

// kBlockDocs numbers in 16 * width bytes. Number 4 i + l lies in lane l of four, so that four are had by one shift.
void pack_block(const std::uint32_t* values, unsigned width, std::string& out);
// `packed` [16 * width]; width is at most 32.
void unpack_block(const std::uint8_t* packed, unsigned width, std::uint32_t* values);

// Turns gaps less 1 into numbers that ascend, the first gap being from `before`; kBlockDocs of them. They may wrap.
void sum_gaps(std::uint32_t* values, std::uint32_t before);

// Bits one after the other, the lowest of a byte first.
class BitWriter {
  public:
    explicit BitWriter(std::string& out) : out_(out) {}
    // The lowest `width` bits of `value`, whose others are 0; width is at most 32.
    void write(std::uint32_t value, unsigned width) {
        held_ |= static_cast<std::uint64_t>(value) << bits_;
        for (bits_ += width; bits_ >= 8; bits_ -= 8, held_ >>= 8) out_.push_back(static_cast<char>(held_ & 0xff));
    }
    void finish() {
        if (bits_ > 0) out_.push_back(static_cast<char>(held_ & 0xff));
        held_ = 0;
        bits_ = 0;
    }

  private:
    std::string& out_;
    std::uint64_t held_ = 0;
    unsigned bits_ = 0;
};

// The `width` bits, at most 32, from bit `bit` of `data` on, which has 8 bytes more than they need.
inline std::uint32_t read_bits(const std::uint8_t* data, std::uint64_t bit, unsigned width) {
    std::uint64_t word;
    __builtin_memcpy(&word, data + bit / 8, sizeof word);
    return static_cast<std::uint32_t>(word >> bit % 8 & ((std::uint64_t{1} << width) - 1));
}

}  // namespace lutra::text
