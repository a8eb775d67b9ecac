#include "code_ranking.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "codes.h"
#include "nearest.h"
#include "parallel.h"
#include "product_codes.h"
#include "threads.h"

namespace lutra {

namespace {

constexpr std::size_t kBlockRows = 1024;
constexpr std::size_t kMaskWord = 8;  // rows whose part of a mask is looked at as one
// Bytes of records that pay for starting one more thread (about half a millisecond of work).
constexpr std::size_t kBytesPerThread = 4 * 1024 * 1024;
// Candidates kept before those that have meanwhile been ruled out are dropped.
constexpr std::size_t kCandidatesKept = 4096;

// One thread's block of rows: those that count, and their estimates.
struct EstimatedBlock {
    std::vector<std::uint32_t> rows = std::vector<std::uint32_t>(kBlockRows);
    std::vector<const std::uint8_t*> records = std::vector<const std::uint8_t*>(kBlockRows);
    std::vector<float> estimates = std::vector<float>(kBlockRows);
    std::size_t count = 0;

    template <class Query>
    void look(const Query& query, const CodeScan& scan, std::size_t begin, std::size_t end) {
        const std::size_t bytes = query.record_bytes();
        count = 0;
        if (scan.mask == nullptr) {
            for (std::size_t row = begin; row < end; ++row) rows[count++] = static_cast<std::uint32_t>(row);
            query.estimate_range(scan.records + begin * bytes, count, estimates.data());
            return;
        }
        for (std::size_t row = begin; row < end;) {
            const std::size_t next = std::min(row + kMaskWord, end);
            std::uint64_t word = 0;
            std::memcpy(&word, scan.mask + row, next - row);
            if (word == 0) {  // most are, where few rows count
                row = next;
                continue;
            }
            for (; row < next; ++row) {
                rows[count] = static_cast<std::uint32_t>(row);
                records[count] = scan.records + row * bytes;
                count += scan.mask[row] != 0;
            }
        }
        query.estimate_batch(records.data(), count, estimates.data());
    }
};

// A thread's own: the k smallest keys (by estimate, or by upper bound), and the rows not ruled out.
struct RankingWorker {
    explicit RankingWorker(std::size_t k) : nearest(k) {}

    EstimatedBlock block;
    Nearest nearest;
    std::vector<Estimated> kept;
    std::size_t kept_before_next_sweep = kCandidatesKept;

    float limit() const {
        if (nearest.worst() == std::numeric_limits<std::uint64_t>::max()) return std::numeric_limits<float>::infinity();
        return distance_of(nearest.worst());
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
    parallel_for(threads, scan.row_count, kBlockRows, [&](unsigned thread, std::size_t begin, std::size_t end) {
        RankingWorker& worker = workers[thread];
        worker.block.look(query, scan, begin, end);
        look(worker);
    });
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
    const std::size_t rows = qualifying_rows(scan.mask, scan.row_count);
    k = std::min(k, rows);
    if (k == 0) return {};
    const std::vector<RankingWorker> workers = run(query, scan, rows, k, [](RankingWorker& worker) {
        float limit = worker.limit();
        for (std::size_t i = 0; i < worker.block.count; ++i) {
            if (worker.block.estimates[i] > limit) continue;
            worker.nearest.offer(key_of(worker.block.estimates[i], worker.block.rows[i]));
            limit = worker.limit();
        }
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
    const std::size_t rows = qualifying_rows(scan.mask, scan.row_count);
    k = std::min(k, rows);
    if (k == 0) return {};
    std::vector<RankingWorker> workers = run(query, scan, rows, k, [&](RankingWorker& worker) {
        for (std::size_t i = 0; i < worker.block.count; ++i) {
            const std::uint32_t row = worker.block.rows[i];
            const std::uint8_t* record = scan.records + row * query.record_bytes();
            const float estimate = worker.block.estimates[i];
            if (query.loose_lower_bound(record, estimate) > worker.limit()) continue;
            const float lower = query.lower_bound(record, estimate);
            if (lower > worker.limit()) continue;
            worker.kept.push_back({row, estimate, lower});
            worker.nearest.offer(key_of(query.upper_bound(record, estimate), row));
        }
        if (worker.kept.size() > worker.kept_before_next_sweep) worker.sweep(worker.limit());
    });
    const float limit = distance_of(merged(workers, k).back());
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
