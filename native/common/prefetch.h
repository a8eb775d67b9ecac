// Memory on its way into the processor's cache.
#pragma once

#include <cstddef>

namespace lutra {

// The empty statement keeps compilers from taking who calls this, and does nothing else, for a function without effect,
// whose calls they leave out: gcc 12 did so.
inline __attribute__((always_inline)) void prefetch_lines(const void* begin, std::size_t bytes) {
    asm volatile("");
    for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(static_cast<const char*>(begin) + at);
}

}  // namespace lutra
