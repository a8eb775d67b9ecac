// The block cache and its reads without Python: against readers that fail, threads that all want the same, pins held
// across evictions, and files read by every engine. Meant to run under AddressSanitizer and UBSan, and ThreadSanitizer.
#include "block_cache.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "crc32c.h"
#include "io_file.h"

namespace {

using namespace lutra;

using Random = std::mt19937_64;
using Numbers = std::vector<std::uint64_t>;

// The byte of a source at an offset: what a block has to be full of.
std::byte byte_at(std::uint64_t offset) { return static_cast<std::byte>((offset * 0x9e3779b97f4a7c15u) >> 56); }

bool is_whole(std::span<const std::byte> bytes, std::uint64_t offset) {
    for (std::size_t i = 0; i < bytes.size(); i += 101) {
        if (bytes[i] != byte_at(offset + i)) return false;
    }
    return bytes.empty() || bytes.back() == byte_at(offset + bytes.size() - 1);
}

// Makes its bytes up; every n-th request fails, and every m-th batch throws.
class MadeUp : public RangeReader {
public:
    MadeUp(std::uint64_t size_bytes, unsigned fail_every, unsigned throw_every)
        : RangeReader("made up", size_bytes), fail_every_(fail_every), throw_every_(throw_every) {}

    void read(std::span<ReadRequest> requests) override {
        if (throw_every_ > 0 && ++batches_ % throw_every_ == 0) throw StorageError("made up: the batch failed");
        for (ReadRequest& request : requests) {
            CHECK(request.offset + request.length <= size_bytes());
            CHECK(reinterpret_cast<std::uintptr_t>(request.buffer) % kPageBytes == 0);
            if (fail_every_ > 0 && ++requests_ % fail_every_ == 0) {
                request.error = std::make_exception_ptr(StorageError("made up: the request failed"));
                std::memset(request.buffer, 0xff, request.length);
                continue;
            }
            for (std::size_t i = 0; i < request.length; ++i) request.buffer[i] = byte_at(request.offset + i);
        }
    }

private:
    const unsigned fail_every_, throw_every_;
    std::atomic<unsigned> requests_{0}, batches_{0};
};

BlockCounters total(BlockCache& cache) {
    BlockCounters sum;
    for (const auto& owner : cache.counters().owners) sum.add(owner.counters);
    return sum;
}

Section section_of(const RangeReader& reader, std::uint32_t block_bytes, BlockKind kind) {
    Section section;
    section.length = reader.size_bytes();
    section.block_bytes = block_bytes;
    section.kind = kind;
    return section;
}

std::uint32_t plain_crc32c(const std::vector<unsigned char>& data) {
    std::uint32_t crc = ~0u;
    for (const unsigned char byte : data) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    }
    return ~crc;
}

void checksums_agree(Random& random) {
    CHECK(crc32c("123456789", 9) == 0xe3069283);
    for (std::size_t size = 0; size < 200; ++size) {
        std::vector<unsigned char> data(size);
        for (unsigned char& byte : data) byte = static_cast<unsigned char>(random());
        const std::uint32_t expected = plain_crc32c(data);
        CHECK(crc32c(data.data(), size) == expected);
        CHECK(crc32c_portable(data.data(), size) == expected);
    }
}

std::string write_file(std::uint64_t size_bytes) {
    std::string path = "/tmp/lutra-block-cache-XXXXXX";
    const int file = mkstemp(path.data());
    CHECK(file >= 0);
    std::vector<std::byte> bytes(size_bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(i);
    CHECK(write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    close(file);
    return path;
}

// All blocks of a file, some twice, in any order, at every depth.
void read_file(Random& random, const std::string& path, const FileOptions& options) {
    const auto file = BlockFile::open(path, options);
    constexpr std::size_t kCount = 150;
    const std::unique_ptr<std::byte, void (*)(void*)> frames(
        static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kCount * kPageBytes)), std::free);
    std::vector<ReadRequest> requests;
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::uint64_t offset = random() % (file->size_bytes() / kPageBytes + 1) * kPageBytes;
        const std::size_t length = std::min<std::size_t>(kPageBytes, file->size_bytes() - offset);
        requests.push_back({offset, length, frames.get() + i * kPageBytes});
    }
    file->read(requests);
    for (const ReadRequest& request : requests) {
        CHECK(!request.error);
        CHECK(is_whole({request.buffer, request.length}, request.offset));
    }
}

void files(Random& random) {
    const std::string path = write_file(100 * kPageBytes + 77);
    for (const bool direct : {true, false}) {
        for (const unsigned depth : {1u, 3u, 32u, 64u}) {
            for (const IoEngine engine : {IoEngine::kAuto, IoEngine::kThreads}) {
                read_file(random, path, {engine, direct, depth});
            }
        }
    }
    unlink(path.c_str());
}

// A child of a process that has read sets up its own ring and threads.
void reads_after_a_fork(Random& random) {
    const std::string path = write_file(20 * kPageBytes);
    read_file(random, path, {});
    const pid_t child = fork();
    if (child == 0) {
        read_file(random, path, {});
        read_file(random, path, {IoEngine::kThreads, true, 32});
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    read_file(random, path, {});
    unlink(path.c_str());
}

// Bytes under a pin stay as they are while everything else is evicted around them, and after the source is closed.
void pins_hold() {
    const auto cache = BlockCache::create(std::size_t{256} << 10, 1);
    const auto reader = std::make_shared<MadeUp>(std::uint64_t{4} << 20, 0, 0);
    const auto source = cache->open(reader, section_of(*reader, kPageBytes, BlockKind::kVectors));
    std::vector<PinnedBlock> held, passing;
    source->pin(Numbers{3, 900, 3}, held);
    CHECK(held[0].bytes().data() == held[2].bytes().data());
    for (std::uint64_t number = 10; number < 800; number += 10) {
        source->pin(Numbers{number, number + 1, number + 2, number + 3}, passing);
    }
    source->close();
    CHECK(is_whole(held[0].bytes(), 3 * kPageBytes) && is_whole(held[1].bytes(), 900 * kPageBytes));
    passing.clear();
    CHECK(total(*cache).held_blocks == 2);
    held.clear();
    CHECK(total(*cache).held_blocks == 0);
}

// Who wants more than there is room for gets a part, or is refused; nothing goes over the budget, nothing is lost.
void no_room() {
    const auto cache = BlockCache::create(std::size_t{64} << 10, 1);
    const auto reader = std::make_shared<MadeUp>(std::uint64_t{4} << 20, 0, 0);
    const auto source = cache->open(reader, section_of(*reader, kPageBytes, BlockKind::kCodes));
    Numbers numbers(100);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
    std::vector<PinnedBlock> pinned;
    source->pin_some(numbers, pinned);
    CHECK(!pinned.empty() && pinned.size() < 16);
    std::vector<PinnedBlock> more;
    source->prefetch(Numbers{50});
    try {
        source->pin(Numbers{50}, more);
        CHECK(false);
    } catch (const NoRoomError&) {
    }
    CHECK(more.empty());
    pinned.pop_back();
    source->pin(Numbers{50}, more);
    CHECK(more.size() == 1);
    const BlockCache::Counters counters = cache->counters();
    CHECK(counters.used_bytes_max <= counters.budget_bytes);
}

// Reads, reads ahead, closes and opens again, of readers some of which fail: each block is right or an error.
void work(BlockCache& cache, const std::vector<std::shared_ptr<RangeReader>>& readers, unsigned seed) {
    Random random(seed);
    std::vector<std::shared_ptr<BlockSource>> sources(readers.size());
    std::vector<PinnedBlock> pinned;
    const std::unique_ptr<std::byte, void (*)(void*)> frames(
        static_cast<std::byte*>(std::aligned_alloc(kPageBytes, 4 * 4 * kPageBytes)), std::free);
    for (int round = 0; round < 400; ++round) {
        const std::size_t which = random() % readers.size();
        const std::uint32_t block_bytes = which % 2 == 0 ? kPageBytes : 4 * kPageBytes;
        std::shared_ptr<BlockSource>& source = sources[which];
        if (!source) {
            source = cache.open(readers[which], section_of(*readers[which], block_bytes, BlockKind(which % 4)));
        }
        Numbers numbers;
        for (std::size_t i = 0; i <= random() % 4; ++i) numbers.push_back(random() % source->block_count());
        try {
            source->prefetch(Numbers{random() % source->block_count(), numbers[0]});
            if (round % 16 == 0) {
                source->read_past_cache(numbers, frames.get());
            } else {
                source->pin(numbers, pinned);
                CHECK(pinned.size() == numbers.size());
                for (std::size_t i = 0; i < numbers.size(); ++i) {
                    CHECK(pinned[i].bytes().size() == source->length_of(numbers[i]));
                    CHECK(is_whole(pinned[i].bytes(), numbers[i] * block_bytes));
                }
            }
        } catch (const StorageError&) {
            CHECK(pinned.empty() || round % 16 == 0);
        }
        if (random() % 20 == 0) pinned.clear();
        if (random() % 50 == 0) source.reset();
        if (random() % 100 == 0) cache.resize((random() % 4 + 4) * (std::size_t{512} << 10));
        const BlockCache::Counters counters = cache.counters();
        CHECK(counters.used_bytes <= counters.budget_bytes && counters.used_bytes_max <= counters.budget_bytes);
    }
}

void many_threads(unsigned shards) {
    const std::string path = write_file(300 * kPageBytes + 500);
    const auto cache = BlockCache::create(std::size_t{2} << 20, shards);
    const std::vector<std::shared_ptr<RangeReader>> readers{
        std::make_shared<MadeUp>((std::uint64_t{3} << 20) + 9, 0, 0),
        std::make_shared<MadeUp>((std::uint64_t{3} << 20) + 9, 7, 0),
        std::make_shared<MadeUp>((std::uint64_t{3} << 20) + 9, 0, 5),
        BlockFile::open(path, {}),
        BlockFile::open(path, {IoEngine::kThreads, false, 8}),
    };
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 6; ++seed) threads.emplace_back([&, seed] { work(*cache, readers, seed); });
    for (std::thread& thread : threads) thread.join();
    cache->close();
    CHECK(total(*cache).held_blocks == 0);
    CHECK(cache->counters().used_bytes == cache->counters().overhead_bytes);
    unlink(path.c_str());
}

// A file of a disk that takes long.
class Slow : public MadeUp {
public:
    Slow() : MadeUp(std::uint64_t{1} << 20, 0, 0) {}

    void read(std::span<ReadRequest> requests) override {
        while (!may_go_on.load()) std::this_thread::yield();
        MadeUp::read(requests);
    }

    std::atomic<bool> may_go_on{false};
};

// Who has no time left does not wait for the disk; what was asked of it comes all the same.
void late_reads() {
    const auto cache = BlockCache::create(std::size_t{8} << 20, 1);
    const auto reader = std::make_shared<Slow>();
    const auto source = cache->open(reader, section_of(*reader, kPageBytes, BlockKind::kAdjacency));
    std::vector<PinnedBlock> pinned;
    const TimeLimit limit{TimeLimit::Clock::now() + std::chrono::milliseconds(5)};
    bool was_late = false;
    try {
        const WorkingUntil working(limit);
        source->pin(Numbers{3, 4}, pinned);
    } catch (const TooLateError&) {
        was_late = true;
    }
    CHECK(was_late);
    CHECK(pinned.empty());
    reader->may_go_on = true;
    source->pin(Numbers{3, 4}, pinned);
    CHECK(is_whole(pinned[0].bytes(), 3 * kPageBytes));
    CHECK(total(*cache).misses == 2);
}

// However many ask at once, each block is read once.
void single_flight() {
    const auto cache = BlockCache::create(std::size_t{8} << 20, 4);
    const auto reader = std::make_shared<MadeUp>(std::uint64_t{1} << 20, 0, 0);
    const auto source = cache->open(reader, section_of(*reader, kPageBytes, BlockKind::kAdjacency));
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 8; ++thread) {
        threads.emplace_back([&] {
            std::vector<PinnedBlock> pinned;
            for (std::uint64_t number = 0; number < 256; ++number) source->pin(Numbers{number}, pinned);
        });
    }
    for (std::thread& thread : threads) thread.join();
    const BlockCounters counters = total(*cache);
    CHECK(counters.reads == 256 && counters.misses == 256 && counters.hits + counters.joined == 7 * 256);
}

}  // namespace

int main() {
    Random random(4096);
    checksums_agree(random);
    reads_after_a_fork(random);
    files(random);
    pins_hold();
    no_room();
    late_reads();
    single_flight();
    many_threads(1);
    many_threads(4);
    return 0;
}
