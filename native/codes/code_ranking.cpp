#include "code_ranking.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "codes.h"
#include "nearest.h"
#include "parallel.h"
#include "product_codes.h"
#include "threads.h"
#include "time_limit.h"

namespace lutra {

namespace {

constexpr std::size_t kBatchRows = 1024;
// Of rows that count, from which on all are estimated: one after the other they take less than half as long.
constexpr double kDenseShare = 0.4;
// Estimates held against the limit at once.
constexpr std::size_t kPassedAtOnce = 16;
// Rows that a thread takes at once are more where few count: a batch is full then too, and its records come from
// memory while others are looked at.
constexpr std::size_t kBlockRowsMax = 64 * kBatchRows;
// Bytes of records that pay for starting one more thread (about half a millisecond of work).
constexpr std::size_t kBytesPerThread = 4 * 1024 * 1024;
// Nanoseconds that a row and a byte of its record take, roughly.
constexpr std::size_t kRowNs = 3;
constexpr std::size_t kBytesPerNs = 16;
// Candidates kept before those that have meanwhile been ruled out are dropped.
constexpr std::size_t kCandidatesKept = 4096;

// One thread's batch of rows that count, and their estimates.
struct EstimatedBatch {
    std::vector<std::uint32_t> rows = std::vector<std::uint32_t>(kBatchRows);
    std::vector<const std::uint8_t*> records = std::vector<const std::uint8_t*>(kBatchRows);
    std::vector<float> estimates = std::vector<float>(kBatchRows);
    std::size_t count = 0;

    // Calls look() for each batch of the rows of [begin, end) that count.
    template <class Query, class Look>
    void each(const Query& query, const CodeScan& scan, std::size_t begin, std::size_t end, const Look& look) {
        const std::size_t bytes = query.record_bytes();
        count = 0;
        if (scan.mask == nullptr) {
            for (std::size_t row = begin; row < end; ++row) rows[count++] = static_cast<std::uint32_t>(row);
            query.estimate_range(scan.records + begin * bytes, count, estimates.data());
            look();
            return;
        }
        if (static_cast<double>(scan.mask->count()) >= kDenseShare * static_cast<double>(scan.row_count)) {
            each_of_most(query, scan, begin, end, look);
            return;
        }
        const auto flush = [&] {
            query.estimate_batch(records.data(), count, estimates.data());
            look();
            count = 0;
        };
        scan.mask->each(begin, end, [&](std::size_t row) {
            rows[count] = static_cast<std::uint32_t>(row);
            records[count] = scan.records + row * bytes;
            __builtin_prefetch(records[count]);  // the rest of a longer one follows
            if (++count == kBatchRows) flush();
        });
        if (count > 0) flush();
    }

    // The same where nearly all rows count: all are estimated, one after the other.
    template <class Query, class Look>
    void each_of_most(const Query& query, const CodeScan& scan, std::size_t begin, std::size_t end, const Look& look) {
        for (; begin < end; begin += kBatchRows) {
            const std::size_t most = std::min(kBatchRows, end - begin);
            query.estimate_range(scan.records + begin * query.record_bytes(), most, estimates.data());
            count = 0;
            scan.mask->each(begin, begin + most, [&](std::size_t row) {
                rows[count] = static_cast<std::uint32_t>(row);
                estimates[count++] = estimates[row - begin];
            });
            if (count > 0) look();
        }
    }
};

// A thread's own: the k smallest keys (by estimate, or by upper bound), and the rows not ruled out.
struct RankingWorker {
    explicit RankingWorker(std::size_t k) : nearest(k) {}

    EstimatedBatch batch;
    Nearest nearest;
    std::vector<Estimated> kept;
    std::size_t kept_before_next_sweep = kCandidatesKept;

    float limit() const {
        if (nearest.worst() == std::numeric_limits<std::uint64_t>::max()) return std::numeric_limits<float>::infinity();
        return distance_of(nearest.worst());
    }

    // Most of a batch is farther than what there is: many are passed over at once.
    void offer_all() {
        float limit_now = limit();
        for (std::size_t begin = 0; begin < batch.count; begin += kPassedAtOnce) {
            const std::size_t end = std::min(begin + kPassedAtOnce, batch.count);
            bool is_any = end - begin < kPassedAtOnce;
            if (!is_any) is_any = is_any_within(batch.estimates.data() + begin, limit_now);
            for (std::size_t i = begin; is_any && i < end; ++i) {
                if (batch.estimates[i] > limit_now) continue;
                nearest.offer(key_of(batch.estimates[i], batch.rows[i]));
                limit_now = limit();
            }
        }
    }

    static bool is_any_within(const float* estimates, float limit) {
        unsigned within = 0;
        for (std::size_t i = 0; i < kPassedAtOnce; ++i) within |= estimates[i] > limit ? 0u : 1u;
        return within != 0;
    }

    void sweep(float limit_now) {
        std::erase_if(kept, [&](const Estimated& row) { return row.lower_bound > limit_now; });
        kept_before_next_sweep = std::max(kCandidatesKept, 2 * kept.size());
    }
};

unsigned ranking_threads(const CodeScan& scan, std::size_t rows, std::size_t record_bytes) {
    const std::size_t most = scan.threads != 0 ? scan.threads : processors();
    return static_cast<unsigned>(std::clamp<std::size_t>(rows * record_bytes / kBytesPerThread, 1, most));
}

// Runs look(worker) over all blocks, on as many threads as are worth it.
template <class Query, class Look>
std::vector<RankingWorker> run(const Query& query, const CodeScan& scan, std::size_t rows, std::size_t k,
                               const Look& look) {
    const unsigned threads = ranking_threads(scan, rows, query.record_bytes());
    std::vector<RankingWorker> workers(threads, RankingWorker(k));
    const std::size_t block_rows = std::clamp(kBatchRows * (scan.row_count / rows), kBatchRows, kBlockRowsMax);
    const TimeLimit limit = current_limit();
    std::vector<Pace> paces(threads, Pace(limit));
    const std::size_t row_ns = kRowNs + query.record_bytes() / kBytesPerNs;
    std::atomic<bool> is_cut{false};
    parallel_for(threads, scan.row_count, block_rows, [&](unsigned thread, std::size_t begin, std::size_t end) {
        if (is_cut.load(std::memory_order_relaxed)) return;
        RankingWorker& worker = workers[thread];
        worker.batch.each(query, scan, begin, end, [&] { look(worker); });
        if (paces[thread].is_over(row_ns * (end - begin) * rows / scan.row_count)) is_cut.store(true);
    });
    if (is_cut.load()) {
        if (scan.was_cut == nullptr) limit.check();
        if (scan.was_cut != nullptr) *scan.was_cut = true;
    }
    return workers;
}

// The k smallest keys of all workers, ascending.
std::vector<std::uint64_t> merged(const std::vector<RankingWorker>& workers, std::size_t k) {
    std::vector<std::uint64_t> keys;
    for (const RankingWorker& worker : workers) {
        keys.insert(keys.end(), worker.nearest.keys().begin(), worker.nearest.keys().end());
    }
    std::sort(keys.begin(), keys.end());
    keys.resize(std::min(k, keys.size()));
    return keys;
}

}  // namespace

template <class Query>
std::vector<Estimated> nearest_by_code(const Query& query, const CodeScan& scan, std::size_t k) {
    const std::size_t rows = scan.counting();
    k = std::min(k, rows);
    if (k == 0) return {};
    const std::vector<RankingWorker> workers = run(query, scan, rows, k, [](RankingWorker& worker) {
        worker.offer_all();
    });
    std::vector<Estimated> found;
    for (const std::uint64_t key : merged(workers, k)) {
        const auto row = static_cast<std::uint32_t>(key);
        const float estimate = distance_of(key);
        found.push_back({row, estimate, query.lower_bound(scan.records + row * query.record_bytes(), estimate)});
    }
    return found;
}

template <class Query>
std::vector<Estimated> candidates_by_code(const Query& query, const CodeScan& scan, std::size_t k) {
    const std::size_t rows = scan.counting();
    k = std::min(k, rows);
    if (k == 0) return {};
    std::vector<RankingWorker> workers = run(query, scan, rows, k, [&](RankingWorker& worker) {
        for (std::size_t i = 0; i < worker.batch.count; ++i) {
            const std::uint32_t row = worker.batch.rows[i];
            const std::uint8_t* record = scan.records + row * query.record_bytes();
            const float estimate = worker.batch.estimates[i];
            if (query.loose_lower_bound(record, estimate) > worker.limit()) continue;
            const float lower = query.lower_bound(record, estimate);
            if (lower > worker.limit()) continue;
            worker.kept.push_back({row, estimate, lower});
            // Rounding may take one past the other.
            worker.nearest.offer(key_of(std::max(lower, query.upper_bound(record, estimate)), row));
        }
        if (worker.kept.size() > worker.kept_before_next_sweep) worker.sweep(worker.limit());
    });
    const std::vector<std::uint64_t> keys = merged(workers, k);
    // Of rows that were cut short there may be fewer: then nothing is known to be too far.
    const float limit = keys.size() < k ? std::numeric_limits<float>::infinity() : distance_of(keys.back());
    std::vector<Estimated> found;
    for (RankingWorker& worker : workers) {
        worker.sweep(limit);
        found.insert(found.end(), worker.kept.begin(), worker.kept.end());
    }
    std::sort(found.begin(), found.end(), [](const Estimated& a, const Estimated& b) {
        return key_of(a.estimate, a.row) < key_of(b.estimate, b.row);
    });
    return found;
}

template std::vector<Estimated> nearest_by_code(const QueryCode&, const CodeScan&, std::size_t);
template std::vector<Estimated> nearest_by_code(const ProductQuery&, const CodeScan&, std::size_t);
template std::vector<Estimated> candidates_by_code(const QueryCode&, const CodeScan&, std::size_t);
template std::vector<Estimated> candidates_by_code(const ProductQuery&, const CodeScan&, std::size_t);

}  // namespace lutra
