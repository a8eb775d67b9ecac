// Batches of reads by threads that wait: for kernels that refuse io_uring.
#pragma once

#include <span>

#include "io_read.h"

namespace lutra {

// One read of whole pages on the calling thread: bytes read, or minus an errno.
std::int64_t read_pages(int file, std::byte* buffer, std::size_t length, std::uint64_t offset);

// As IoRing::read, by the process's reading threads, which the first call starts.
void read_by_threads(int file, std::span<ReadRequest> requests);

}  // namespace lutra
