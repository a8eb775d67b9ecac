#include "io_ring.h"

#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

// Newer than the headers of some systems that run on newer kernels. An old kernel answers EINVAL, and gets none of it.
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

namespace lutra {

namespace {

// Counts forks: a child must not use the rings of its parent, whose completions it would never see.
std::atomic<unsigned> fork_count{0};

void count_forks() {
    static const int registered = pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1); });
    static_cast<void>(registered);
}

std::uint32_t load_acquire(const std::uint32_t* at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
void store_release(std::uint32_t* at, std::uint32_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }

// A result that no read has.
constexpr std::int64_t kPending = std::numeric_limits<std::int64_t>::min();

std::size_t pending(std::span<const ReadRequest> requests) {
    return static_cast<std::size_t>(std::count_if(requests.begin(), requests.end(),
                                                  [](const ReadRequest& r) { return r.result == kPending; }));
}

int setup(io_uring_params& params) {
    // Completions are handed over when this thread asks for them, rather than by interrupting it.
    for (const std::uint32_t flags : {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0U}) {
        params = {};
        params.flags = flags;
        const long ring = syscall(__NR_io_uring_setup, IoRing::kDepthMax, &params);
        if (ring >= 0) return static_cast<int>(ring);
        if (errno != EINVAL) return -1;
    }
    return -1;
}

}  // namespace

struct IoRing::Memory {
    int ring = -1;
    void* queues = MAP_FAILED;
    std::size_t queues_bytes = 0;
    io_uring_sqe* entries = static_cast<io_uring_sqe*>(MAP_FAILED);
    std::size_t entries_bytes = 0;
    std::uint32_t* submitted_tail = nullptr;
    std::uint32_t submitted_mask = 0;
    std::uint32_t* completed_head = nullptr;
    const std::uint32_t* completed_tail = nullptr;
    std::uint32_t completed_mask = 0;
    const io_uring_cqe* completed = nullptr;
    unsigned born_at_fork = 0;

    ~Memory() {
        if (entries != MAP_FAILED) munmap(entries, entries_bytes);
        if (queues != MAP_FAILED) munmap(queues, queues_bytes);
        if (ring >= 0) close(ring);
    }

    bool map(const io_uring_params& params) {
        queues_bytes = std::max(params.sq_off.array + params.sq_entries * sizeof(std::uint32_t),
                                params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe));
        entries_bytes = params.sq_entries * sizeof(io_uring_sqe);
        constexpr int kProtection = PROT_READ | PROT_WRITE, kFlags = MAP_SHARED | MAP_POPULATE;
        queues = mmap(nullptr, queues_bytes, kProtection, kFlags, ring, IORING_OFF_SQ_RING);
        entries = static_cast<io_uring_sqe*>(mmap(nullptr, entries_bytes, kProtection, kFlags, ring, IORING_OFF_SQES));
        if (queues == MAP_FAILED || entries == MAP_FAILED) return false;
        auto* base = static_cast<std::byte*>(queues);
        const auto word = [base](std::uint32_t offset) { return reinterpret_cast<std::uint32_t*>(base + offset); };
        submitted_tail = word(params.sq_off.tail);
        submitted_mask = *word(params.sq_off.ring_mask);
        completed_head = word(params.cq_off.head);
        completed_tail = word(params.cq_off.tail);
        completed_mask = *word(params.cq_off.ring_mask);
        completed = reinterpret_cast<const io_uring_cqe*>(base + params.cq_off.cqes);
        for (std::uint32_t i = 0; i < params.sq_entries; ++i) word(params.sq_off.array)[i] = i;
        return true;
    }
};

IoRing::IoRing(std::unique_ptr<Memory> memory) : memory_(std::move(memory)) {}

IoRing::~IoRing() = default;

std::unique_ptr<IoRing> IoRing::open() {
    auto memory = std::make_unique<Memory>();
    io_uring_params params;
    memory->ring = setup(params);
    if (memory->ring < 0) return nullptr;
    // Kernels before 5.4 map the two queues apart; those before 5.6 have no IORING_OP_READ. Both get the thread pool.
    constexpr std::uint32_t kNeeded = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_RW_CUR_POS;
    if ((params.features & kNeeded) != kNeeded || !memory->map(params)) return nullptr;
    memory->born_at_fork = fork_count.load();
    return std::unique_ptr<IoRing>(new IoRing(std::move(memory)));
}

IoRing* IoRing::of_thread() {
    thread_local std::unique_ptr<IoRing> ring;
    thread_local bool refused = false;
    if (ring && ring->memory_->born_at_fork != fork_count.load(std::memory_order_relaxed)) ring.reset();
    if (!ring && !refused) {
        count_forks();
        ring = open();
        refused = ring == nullptr;
    }
    return ring.get();
}

void IoRing::submit(int file, ReadRequest& request) {
    const std::uint32_t tail = *memory_->submitted_tail;
    io_uring_sqe& entry = memory_->entries[tail & memory_->submitted_mask];
    std::memset(&entry, 0, sizeof entry);
    entry.opcode = IORING_OP_READ;
    entry.fd = file;
    entry.off = request.offset;
    entry.addr = reinterpret_cast<std::uint64_t>(request.buffer);
    entry.len = static_cast<std::uint32_t>(round_up_to_page(request.length));
    entry.user_data = reinterpret_cast<std::uint64_t>(&request);
    request.result = kPending;
    store_release(memory_->submitted_tail, tail + 1);
    ++unsubmitted_;
}

void IoRing::reap() {
    std::uint32_t head = *memory_->completed_head;
    const std::uint32_t tail = load_acquire(memory_->completed_tail);
    for (; head != tail; ++head) {
        const io_uring_cqe& entry = memory_->completed[head & memory_->completed_mask];
        reinterpret_cast<ReadRequest*>(entry.user_data)->result = entry.res;
    }
    store_release(memory_->completed_head, head);
}

// Hands over what was submitted, waits for so many to be done, and takes in all that are.
void IoRing::enter(unsigned wanted) {
    const long taken = syscall(__NR_io_uring_enter, memory_->ring, unsubmitted_, wanted,
                               wanted > 0 ? IORING_ENTER_GETEVENTS : 0, nullptr, 0);
    if (taken >= 0) {
        unsubmitted_ -= static_cast<unsigned>(taken);
    } else if (errno != EINTR && errno != EAGAIN && errno != EBUSY) {
        // The kernel may still write to these buffers, and will not say when it is done: no way to go on.
        std::fprintf(stderr, "lutra: io_uring lost its reads: %s\n", std::strerror(errno));
        std::abort();
    }
    reap();
}

void IoRing::read(int file, std::span<ReadRequest> requests, unsigned depth) {
    depth = std::clamp(depth, 1U, kDepthMax);
    std::size_t next = 0;
    unsigned under_way = 0;
    while (next < requests.size() || under_way > 0) {
        // The submission queue holds kDepthMax; what a `start` could not hand over yet is in it too.
        for (; next < requests.size() && under_way < depth && unsubmitted_ < kDepthMax; ++next, ++under_way) {
            submit(file, requests[next]);
        }
        // While more are to come, go on when a few are done: each wait is a system call, an idle disk a loss.
        enter(next < requests.size() ? std::max(1U, under_way / 4) : under_way);
        under_way = static_cast<unsigned>(pending(requests.first(next)));
    }
}

bool IoRing::start(int file, std::span<ReadRequest> requests) {
    if (started_ + requests.size() > kDepthMax) return false;
    started_ += requests.size();
    for (ReadRequest& request : requests) submit(file, request);
    enter(0);
    return true;
}

void IoRing::finish(std::span<ReadRequest> requests) {
    reap();
    for (std::size_t left = pending(requests); left > 0; left = pending(requests)) {
        enter(static_cast<unsigned>(left));
    }
    started_ -= requests.size();
}

}  // namespace lutra
