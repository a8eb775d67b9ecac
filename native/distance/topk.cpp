#include "topk.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <thread>
#include <vector>

#include "nearest.h"
#include "threads.h"
#include "time_limit.h"
#include "wide_distance.h"

namespace lutra {

namespace {

// A block of rows stays in the second-level cache while all queries look at it.
constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::size_t kBlockRowsMax = 1024;
// Multiply-adds that take a nanosecond, roughly.
constexpr std::size_t kWorkPerNs = 8;
// Multiply-adds that pay for starting one more thread (about half a millisecond of work).
constexpr std::size_t kWorkPerThread = 4 * 1024 * 1024;

// One thread's part of a scan: blocks it takes from the shared counter, and what it found. All it needs is allocated
// when it is made, so that `run` cannot fail.
class Worker {
  public:
    Worker(const Scan& scan, std::size_t k, const std::vector<DistanceFinisher>& finishers)
        : scan_(scan),
          kernels_(kernels(scan.level)),
          finishers_(finishers),
          block_rows_(std::clamp<std::size_t>(kBlockBytes / (sizeof(float) * scan.dimension), kTileRows, kBlockRowsMax)),
          rows_(block_rows_),
          row_norms_(block_rows_ + kTileRows),
          limits_(scan.query_count, std::numeric_limits<float>::infinity()),
          plain_most_(scan.metric == Metric::kEuclidean ? std::numeric_limits<float>::infinity() : kOrdinaryMost) {
        nearest_.reserve(scan.query_count);
        for (std::size_t q = 0; q < scan.query_count; ++q) nearest_.emplace_back(k);
    }

    // Until all rows are taken, or the time is up: then it is not the answer.
    void run(std::atomic<std::size_t>& next_row, const TimeLimit& limit) noexcept {
        Pace pace(limit);
        for (;;) {
            const std::size_t begin = next_row.fetch_add(block_rows_, std::memory_order_relaxed);
            if (begin >= scan_.row_count) return;
            const std::size_t count = select(begin, std::min(begin + block_rows_, scan_.row_count));
            if (count == 0) continue;
            for (std::size_t q = 0; q < scan_.query_count;) {
                const std::size_t together = scan_.query_count - q >= kTileQueries ? kTileQueries : 1;
                look(q, together, count);
                q += together;
                if (pace.is_over(together * count * scan_.dimension / kWorkPerNs)) return;
            }
        }
    }

    const std::vector<std::uint64_t>& keys(std::size_t query) const { return nearest_[query].keys(); }

  private:
    // Puts the rows of [begin, end) that count into rows_.
    std::size_t select(std::size_t begin, std::size_t end) {
        std::size_t count = 0;
        if (scan_.mask == nullptr) {
            for (std::size_t row = begin; row < end; ++row) rows_[count++] = static_cast<std::uint32_t>(row);
            return count;
        }
        for (std::size_t row = begin; row < end;) {
            std::uint64_t eight;
            if (end - row >= sizeof eight) {
                std::memcpy(&eight, scan_.mask + row, sizeof eight);
                if (eight == 0) {
                    row += sizeof eight;
                    continue;
                }
            }
            const std::size_t stop = std::min(row + sizeof eight, end);
            for (; row < stop; ++row) {
                rows_[count] = static_cast<std::uint32_t>(row);
                count += scan_.mask[row] != 0;
            }
        }
        return count;
    }

    // The distances of `together` queries, from the query on, to the first `count` of rows_.
    void look(std::size_t query, std::size_t together, std::size_t count) {
        const bool first = query == 0;  // finds the rows' norms, which the other queries use
        const TileKernel kernel = scan_.metric == Metric::kEuclidean ? kernels_.squared_differences[together - 1]
                                  : scan_.metric == Metric::kCosine && first
                                      ? kernels_.products_and_norms[together - 1]
                                      : kernels_.products[together - 1];
        const float* queries[kTileQueries];
        for (std::size_t i = 0; i < together; ++i) queries[i] = scan_.queries + (query + i) * scan_.dimension;
        for (std::size_t at = 0; at < count; at += kTileRows) {
            const std::size_t in_tile = std::min(kTileRows, count - at);
            const float* rows[kTileRows];
            for (std::size_t r = 0; r < kTileRows; ++r) {
                rows[r] = scan_.vectors + rows_[at + std::min(r, in_tile - 1)] * scan_.dimension;
            }
            float sums[kTileRows * kTileQueries];
            kernel(rows, queries, scan_.dimension, sums, row_norms_.data() + at);
            for (std::size_t r = 0; r < in_tile; ++r) {
                for (std::size_t i = 0; i < together; ++i) {
                    const float sum = sums[r * together + i];
                    const float plain = scan_.metric == Metric::kEuclidean ? sum : -sum;
                    if (plain > limits_[query + i] && plain <= plain_most_) continue;
                    take(finishers_[query + i].finish(sum, row_norms_[at + r], rows[r]), query + i, rows_[at + r]);
                }
            }
        }
    }

    void take(float distance, std::size_t query, std::uint32_t row) {
        Nearest& nearest = nearest_[query];
        const std::uint64_t key = key_of(distance, row);
        if (key >= nearest.worst()) return;
        nearest.offer(key);
        if (scan_.metric == Metric::kCosine || nearest.worst() == std::numeric_limits<std::uint64_t>::max()) return;
        const float worst = distance_of(nearest.worst());
        if (is_ordinary(worst)) limits_[query] = worst;
    }

    const Scan& scan_;
    const Kernels& kernels_;
    const std::vector<DistanceFinisher>& finishers_;
    std::size_t block_rows_;
    std::vector<std::uint32_t> rows_;
    std::vector<float> row_norms_;  // squared; a tile filled up with repeats writes past the last row
    // Of each query: a sum that makes a distance of more is not among the nearest, whether or not it is right to the
    // bit. A squared distance that overflows is none either; of products that do, nothing is known.
    std::vector<float> limits_;
    float plain_most_;
    std::vector<Nearest> nearest_;
};

// The queries' lengths are taken by the same kernel as the rows', so that equal vectors have equal lengths.
std::vector<DistanceFinisher> finishers(const Scan& scan) {
    std::vector<DistanceFinisher> result;
    result.reserve(scan.query_count);
    for (std::size_t q = 0; q < scan.query_count; ++q) {
        const float* query = scan.queries + q * scan.dimension;
        result.emplace_back(query, scan.dimension, scan.metric, squared_length(query, scan.dimension, scan.level));
    }
    return result;
}

std::size_t thread_count(const Scan& scan, std::size_t rows) {
    const std::size_t most = scan.threads != 0 ? scan.threads : processors();
    const double work = static_cast<double>(rows) * static_cast<double>(scan.dimension) *
                        static_cast<double>(scan.query_count);
    return std::max<std::size_t>(1, std::min(most, static_cast<std::size_t>(work / kWorkPerThread)));
}

// Runs the workers, the first on this thread.
void run(std::vector<Worker>& workers) {
    const TimeLimit limit = current_limit();
    std::atomic<std::size_t> next_row{0};
    std::vector<std::thread> threads;
    threads.reserve(workers.size() - 1);
    try {
        for (std::size_t i = 1; i < workers.size(); ++i) {
            threads.emplace_back([&worker = workers[i], &next_row, &limit] { worker.run(next_row, limit); });
        }
    } catch (const std::exception&) {  // no thread to be had: those that run do the work
    }
    workers[0].run(next_row, limit);
    for (std::thread& thread : threads) thread.join();
    limit.check();
}

}  // namespace

std::size_t qualifying_rows(const std::uint8_t* mask, std::size_t row_count) {
    if (mask == nullptr) return row_count;
    std::size_t count = 0;
    for (std::size_t row = 0; row < row_count; ++row) count += mask[row] != 0;
    return count;
}

void topk(const Scan& scan, std::size_t k, std::int64_t* ids, float* distances) {
    const std::vector<DistanceFinisher> query_finishers = finishers(scan);
    std::vector<Worker> workers;
    const std::size_t count = thread_count(scan, qualifying_rows(scan.mask, scan.row_count));
    workers.reserve(count);
    for (std::size_t i = 0; i < count; ++i) workers.emplace_back(scan, k, query_finishers);
    std::vector<std::uint64_t> merged;
    merged.reserve(count * k);
    run(workers);
    for (std::size_t q = 0; q < scan.query_count; ++q) {
        merged.clear();
        for (const Worker& worker : workers) {
            merged.insert(merged.end(), worker.keys(q).begin(), worker.keys(q).end());
        }
        std::partial_sort(merged.begin(), merged.begin() + static_cast<std::ptrdiff_t>(k), merged.end());
        for (std::size_t i = 0; i < k; ++i) {
            ids[q * k + i] = static_cast<std::int64_t>(merged[i] & 0xffffffffu);
            distances[q * k + i] = distance_of(merged[i]);
        }
    }
}

std::size_t first_not_finite(const float* vectors, std::size_t row_count, std::size_t dimension) {
    constexpr std::uint32_t kExponent = 0x7f800000u;
    for (std::size_t row = 0; row < row_count; ++row) {
        bool finite = true;
        for (std::size_t i = 0; i < dimension; ++i) {
            finite &= (std::bit_cast<std::uint32_t>(vectors[row * dimension + i]) & kExponent) != kExponent;
        }
        if (!finite) return row;
    }
    return row_count;
}

}  // namespace lutra
