#include "io_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io_pool.h"
#include "io_ring.h"

namespace lutra {

namespace {

StorageError failed(const std::string& name, const std::string& what, int error) {
    return StorageError(name + ": " + what + ": " + std::strerror(error));
}

std::string place(const ReadRequest& request) {
    return std::to_string(request.length) + " bytes at offset " + std::to_string(request.offset);
}

}  // namespace

std::shared_ptr<BlockFile> BlockFile::open(const std::string& path, const FileOptions& options) {
    constexpr int kFlags = O_RDONLY | O_CLOEXEC;
    int file = options.direct ? ::open(path.c_str(), kFlags | O_DIRECT) : -1;
    const bool direct = file >= 0;
    // Some file systems know no direct I/O; every other reason comes up again.
    if (!direct) file = ::open(path.c_str(), kFlags);
    if (file < 0) throw failed(path, "cannot be opened", errno);
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        ::close(file);
        throw StorageError(path + ": is not a regular file");
    }
    if (!direct) posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);  // no read-ahead into the page cache
    std::shared_ptr<BlockFile> opened;
    try {
        opened.reset(new BlockFile(path, static_cast<std::uint64_t>(status.st_size), file, direct, options));
    } catch (...) {
        ::close(file);
        throw;
    }
    if (options.engine == IoEngine::kRing && IoRing::of_thread() == nullptr) {
        throw StorageError(path + ": this kernel refuses io_uring");
    }
    return opened;
}

BlockFile::BlockFile(const std::string& path, std::uint64_t size_bytes, int file, bool direct,
                     const FileOptions& options)
    : RangeReader(path, size_bytes),
      file_(file),
      direct_(direct),
      engine_(options.engine),
      queue_depth_(options.queue_depth) {}

BlockFile::~BlockFile() { ::close(file_); }

std::string_view BlockFile::engine() const {
    return engine_ != IoEngine::kThreads && IoRing::of_thread() != nullptr ? "io_uring" : "threads";
}

void BlockFile::read(std::span<ReadRequest> requests) {
    IoRing* ring = engine_ == IoEngine::kThreads ? nullptr : IoRing::of_thread();
    if (ring != nullptr) {
        ring->read(file_, requests, queue_depth_);
    } else {
        read_by_threads(file_, requests);
    }
    complete(requests);
}

bool BlockFile::start(std::span<ReadRequest> requests) {
    IoRing* ring = engine_ == IoEngine::kThreads ? nullptr : IoRing::of_thread();
    return ring != nullptr && ring->start(file_, requests);
}

void BlockFile::finish(std::span<ReadRequest> requests) {
    IoRing::of_thread()->finish(requests);
    complete(requests);
}

void BlockFile::complete(std::span<ReadRequest> requests) const {
    for (ReadRequest& request : requests) {
        if (request.result < static_cast<std::int64_t>(request.length)) complete(request);
        if (!direct_) {
            posix_fadvise(file_, static_cast<off_t>(request.offset), static_cast<off_t>(request.length),
                          POSIX_FADV_DONTNEED);
        }
    }
}

// Goes on where a read ended early, as the kernel may do, until all is there or no more comes.
void BlockFile::complete(ReadRequest& request) const {
    if (request.result == -EAGAIN || request.result == -EINTR) request.result = 0;
    auto have = static_cast<std::uint64_t>(request.result);
    while (request.result >= 0 && have < request.length) {
        const std::uint64_t begin = have / kPageBytes * kPageBytes;
        request.result = read_pages(file_, request.buffer + begin, round_up_to_page(request.length) - begin,
                                    request.offset + begin);
        if (request.result >= 0 && begin + static_cast<std::uint64_t>(request.result) <= have) {
            request.error = std::make_exception_ptr(
                StorageError(name() + ": ends at byte " + std::to_string(request.offset + have) + " where " +
                             place(request) + " were to be read; it had " + std::to_string(size_bytes()) +
                             " bytes when it was opened"));
            return;
        }
        if (request.result >= 0) have = begin + static_cast<std::uint64_t>(request.result);
    }
    if (request.result < 0) {
        request.error = std::make_exception_ptr(
            failed(name(), "reading " + place(request), static_cast<int>(-request.result)));
    }
}

}  // namespace lutra
