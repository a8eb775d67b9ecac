// Bytes at the very end of what may be read: one past them faults, whichever instruction reads it. (AddressSanitizer
// does not see masked loads of vectors.)
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "check.h"

class Guarded {
  public:
    explicit Guarded(std::size_t size_bytes) {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const std::size_t readable = (size_bytes + page - 1) / page * page;
        mapped_bytes_ = readable + page;
        void* place = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(place != MAP_FAILED);
        mapped_ = static_cast<std::uint8_t*>(place);
        CHECK(mprotect(mapped_ + readable, page, PROT_NONE) == 0);
        data_ = mapped_ + readable - size_bytes;
    }
    ~Guarded() {
        if (mapped_ != nullptr) munmap(mapped_, mapped_bytes_);
    }
    Guarded(Guarded&& other) noexcept
        : mapped_(other.mapped_), mapped_bytes_(other.mapped_bytes_), data_(other.data_) {
        other.mapped_ = nullptr;
    }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;
    Guarded& operator=(Guarded&&) = delete;

    std::uint8_t* get() const { return data_; }

  private:
    std::uint8_t* mapped_;
    std::size_t mapped_bytes_;
    std::uint8_t* data_;
};
