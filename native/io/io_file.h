// A local file, read in batches past the page cache.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io_read.h"

namespace lutra {

enum class IoEngine {
    kAuto,     // io_uring, or threads where the kernel refuses it
    kRing,     // io_uring or an error
    kThreads,  // threads that wait
};

struct FileOptions {
    IoEngine engine = IoEngine::kAuto;
    // False: through the page cache, which is told to drop what was read. What file systems without direct I/O get.
    bool direct = true;
    unsigned queue_depth = 32;  // reads under way at once for one batch, 1 to 64
};

// Bytes are those that the file had when it was opened: one that got shorter is an error, what was added is not seen.
// Never mapped into memory: a page fault cannot be counted, batched or refused.
class BlockFile : public RangeReader {
public:
    // Throws StorageError where the file cannot be opened, or the engine asked for is not there.
    static std::shared_ptr<BlockFile> open(const std::string& path, const FileOptions& options);

    ~BlockFile() override;

    void read(std::span<ReadRequest> requests) override;
    bool start(std::span<ReadRequest> requests) override;
    void finish(std::span<ReadRequest> requests) override;

    bool direct() const { return direct_; }
    // What the calling thread's reads go through: "io_uring" or "threads".
    std::string_view engine() const;

private:
    BlockFile(const std::string& path, std::uint64_t size_bytes, int file, bool direct, const FileOptions& options);

    void complete(std::span<ReadRequest> requests) const;
    void complete(ReadRequest& request) const;

    const int file_;
    const bool direct_;
    const IoEngine engine_;
    const unsigned queue_depth_;
};

}  // namespace lutra
