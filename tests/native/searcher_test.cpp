// Searches of a segment's nodes on disk, without Python: every strategy, past the cache and through one, on several
// threads, and over damaged blocks. Meant to run under the sanitizers, with codes, graph and masks in heap blocks of
// exactly their size.
#include "searcher.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "crc32c.h"
#include "graph.h"
#include "guarded.h"
#include "io_file.h"
#include "list_build.h"

namespace {

using namespace lutra;

constexpr std::size_t kRows = 700, kDimension = 50, kDegree = 12, kPerBlock = 16, kQueries = 9, kK = 10;
const std::string kPath = "searcher_test.segment";

enum class Coded { kAlike, kAlongBasis, kAlongBasisAndFine };

// Along the dimensions themselves: all that count, and zeros to fill up.
Quantizer along_axes(std::vector<CodePart> parts) {
    std::size_t count = 0;
    for (const CodePart& part : parts) count += part.dimensions;
    std::vector<std::int16_t> directions(count * kDimension, 0);
    for (std::size_t i = 0; i < kDimension; ++i) directions[i * kDimension + i] = 32767;
    const auto basis = std::make_shared<const CodeBasis>(kDimension, directions.data(), std::move(parts), 0.12f, 1);
    return {kDimension, basis, Metric::kEuclidean, nullptr};
}

Quantizer quantizer_of(Coded coded) {
    if (coded == Coded::kAlike) return {kDimension, 4, Metric::kEuclidean, nullptr, 1};
    return along_axes({{2, 64, 0.14f}});
}

// A quantizer with a row's record each, all at the end of what may be read.
struct Codes {
    Quantizer quantizer;
    Guarded records;

    Codes(Quantizer made, const std::vector<float>& vectors)
        : quantizer(std::move(made)), records(kRows * quantizer.record_bytes()) {
        quantizer.encode(vectors.data(), kRows, records.get(), 2);
    }
};

struct World {
    std::vector<float> vectors = std::vector<float>(kRows * kDimension);
    std::optional<Codes> codes, fine;
    std::optional<Lists> lists;
    std::unique_ptr<std::uint32_t[]> neighbours = std::make_unique<std::uint32_t[]>(kRows * kDegree);
    std::vector<std::uint32_t> entries;
    BuiltLists built;
    NodeLayout layout{kDimension, kDegree, kPageBytes};

    explicit World(Coded coded, bool has_lists = false) {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        for (float& element : vectors) element = normal(random);
        if (has_lists) order(coded);
        codes.emplace(quantizer_of(coded), vectors);
        if (has_lists) lists.emplace(codes->quantizer, built.offsets, built.centroids.data(), built.step, built.radii.data(),
                                      built.spreads.data());
        if (coded == Coded::kAlongBasisAndFine) fine.emplace(along_axes({{8, 64, 0.005f}}), vectors);
        GraphOptions options;
        options.degree = kDegree;
        options.beam = 40;
        const auto graph = build_graph({vectors.data(), kRows, kDimension, Metric::kEuclidean}, options, nullptr,
                                       [](std::size_t, std::size_t) { return true; });
        std::copy(graph->neighbours.begin(), graph->neighbours.end(), neighbours.get());
        entries = graph->entries;
        CHECK(layout.nodes_per_block() == kPerBlock);
    }

    // Puts the vectors into lists, whose rows are in heap blocks of exactly their size.
    void order(Coded coded) {
        built = build_lists(vectors.data(), kRows, quantizer_of(coded), {12, 3, simd_levels().front()},
                            [](std::size_t, std::size_t) {});
        std::vector<float> ordered;
        for (const std::uint32_t row : built.order) {
            const float* vector = vectors.data() + std::size_t{row} * kDimension;
            ordered.insert(ordered.end(), vector, vector + kDimension);
        }
        vectors = ordered;
    }

    // `damaged`: a block with a flipped bit.
    void write(std::size_t damaged) const {
        const std::size_t blocks = (kRows + kPerBlock - 1) / kPerBlock;
        std::vector<char> bytes(blocks * kPageBytes);
        for (std::size_t row = 0; row < kRows; ++row) {
            char* node = bytes.data() + row / kPerBlock * kPageBytes + row % kPerBlock * layout.node_bytes();
            std::memcpy(node, vectors.data() + row * kDimension, 4 * kDimension);
            std::memcpy(node + 4 * kDimension, neighbours.get() + row * kDegree, 4 * kDegree);
        }
        for (std::size_t block = 0; block < blocks; ++block) {
            char* begin = bytes.data() + block * kPageBytes;
            const std::uint32_t checksum = crc32c(begin, kPageBytes - 4);
            std::memcpy(begin + kPageBytes - 4, &checksum, 4);
            if (block == damaged) begin[40] ^= 1;
        }
        std::FILE* file = std::fopen(kPath.c_str(), "wb");
        CHECK(file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
        CHECK(std::fclose(file) == 0);
    }

    SegmentParts parts(bool has_records, bool has_graph, const std::shared_ptr<BlockSource>& cached) const {
        SegmentParts parts{.nodes = {cached ? cached->reader() : BlockFile::open(kPath, {}), cached, layout, kRows},
                           .metric = Metric::kEuclidean,
                           .quantizer = nullptr,
                           .entries = entries,
                           .level = simd_levels().front()};
        if (has_records) {
            parts.quantizer = &codes->quantizer;
            parts.records = codes->records.get();
            if (fine) {
                parts.fine_quantizer = &fine->quantizer;
                parts.fine_records = fine->records.get();
            }
        }
        if (has_graph) parts.neighbours = neighbours.get();
        if (has_records && lists) parts.lists = &*lists;
        return parts;
    }
};

constexpr std::size_t kNone = ~std::size_t{0};

std::shared_ptr<BlockSource> small_cache() {
    const auto file = BlockFile::open(kPath, {});
    const Section section{.length = file->size_bytes(), .kind = BlockKind::kVectors, .verify = ends_in_its_crc32c};
    return BlockCache::create(64 * 1024)->open(file, section);
}

constexpr float kFar = std::numeric_limits<float>::infinity();

// How many of the true neighbours were found, by all queries. `compared`: rows read for it, where wanted.
std::size_t search(const World& world, const Searcher& searcher, Strategy strategy, const std::uint8_t* mask,
                   unsigned threads, std::uint64_t* compared = nullptr, float within = kFar,
                   TimeLimit limit = {}, std::size_t covers = kRows, float reach = 1) {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 0; row < kRows; ++row) {
        if (mask == nullptr || mask[row] != 0) rows.push_back(row);
    }
    const std::size_t k = std::min(kK, rows.size());
    SearchPlan plan{};
    plan.strategy = strategy;
    plan.k = k;
    plan.beam = 120;
    plan.candidates = 60;
    plan.first = 12;
    plan.bound_sigmas = 2;
    plan.within = within;
    plan.limit = limit;
    plan.covers = covers;
    plan.reach = reach;
    plan.qualifying = rows.size();
    std::optional<RowMask> counting;
    if (mask != nullptr) plan.mask = &counting.emplace(mask, kRows);
    if (strategy == Strategy::kBruteForce) plan.rows = rows;
    std::vector<std::int64_t> ids(kQueries * k), truth(kQueries * k);
    std::vector<float> distances(kQueries * k), exact(kQueries * k);
    std::vector<SearchCounters> counters(kQueries);
    searcher.search({world.vectors.data(), kQueries, nullptr}, plan, threads, ids.data(), distances.data(),
                    counters.data());
    topk({world.vectors.data(), kQueries, world.vectors.data(), kRows, kDimension, mask, Metric::kEuclidean,
          simd_levels().front(), 1},
         k, truth.data(), exact.data());
    std::size_t found = 0;
    for (std::size_t i = 0; i < kQueries * k; ++i) {
        const auto* begin = ids.data() + i / k * k;
        found += std::find(begin, begin + k, truth[i]) != begin + k;
        CHECK(counters[i / k].reads > 0 || within < kFar);
        CHECK(ids[i] >= 0 || within < kFar);
        CHECK(mask == nullptr || ids[i] < 0 || mask[ids[i]] != 0);
    }
    if (compared != nullptr) {
        *compared = 0;
        for (const SearchCounters& one : counters) *compared += one.exact;
    }
    return found;
}

void every_strategy_finds(const World& world, const std::shared_ptr<BlockSource>& cached) {
    const Searcher resident(world.parts(true, true, cached)), codes(world.parts(true, false, cached)),
        paged(world.parts(false, false, cached));
    const auto mask = std::make_unique<std::uint8_t[]>(kRows), few = std::make_unique<std::uint8_t[]>(kRows);
    for (std::size_t row = 0; row < kRows; row += 3) mask[row] = 1;
    few[5] = few[600] = 1;
    for (const std::uint8_t* one : std::initializer_list<const std::uint8_t*>{nullptr, mask.get()}) {
        const std::size_t all = kQueries * kK;
        CHECK(search(world, resident, Strategy::kBruteForce, one, 3) == all);
        CHECK(search(world, resident, Strategy::kCodeScan, one, 1) >= all * 95 / 100);
        CHECK(search(world, resident, Strategy::kWalk, one, 3) >= all * 9 / 10);
        CHECK(search(world, codes, Strategy::kNodeWalk, one, 3) >= all * 9 / 10);
        CHECK(search(world, paged, Strategy::kNodeWalk, one, 2) >= all * 9 / 10);
    }
    for (const Strategy strategy : {Strategy::kBruteForce, Strategy::kCodeScan, Strategy::kWalk}) {
        CHECK(search(world, resident, strategy, few.get(), 2) == kQueries * 2);
    }
    CHECK(search(world, paged, Strategy::kNodeWalk, few.get(), 1) == kQueries * 2);
}

void lists_are_enough(const World& world) {
    const Searcher searcher(world.parts(true, false, nullptr));
    const auto mask = std::make_unique<std::uint8_t[]>(kRows), few = std::make_unique<std::uint8_t[]>(kRows);
    for (std::size_t row = 0; row < kRows; row += 3) mask[row] = 1;
    few[5] = few[600] = 1;
    const std::size_t all = kQueries * kK;
    for (const std::uint8_t* one : std::initializer_list<const std::uint8_t*>{nullptr, mask.get()}) {
        const std::size_t by_all = search(world, searcher, Strategy::kListScan, one, 2);
        CHECK(by_all >= all * 95 / 100);
        const std::size_t by_some = search(world, searcher, Strategy::kListScan, one, 2, nullptr, kFar, {}, kRows / 8, -1);
        CHECK(by_some < by_all && by_some >= all / 4);
        CHECK(search(world, searcher, Strategy::kListScan, one, 1, nullptr, kFar, {}, 0, -1) >= kQueries);
        CHECK(search(world, searcher, Strategy::kListScan, one, 1, nullptr, kFar, {}, 0, 0.8f) >= all * 9 / 10);
    }
    CHECK(search(world, searcher, Strategy::kListScan, few.get(), 2, nullptr, kFar, {}, 0, -1) == kQueries * 2);
}

// Every query is a row: nothing else lies nearly as near as itself.
void what_is_too_far_is_not_read(const World& world) {
    const Searcher resident(world.parts(true, true, nullptr));
    for (const Strategy strategy : {Strategy::kWalk, Strategy::kCodeScan}) {
        std::uint64_t all = 0, near = 0;
        search(world, resident, strategy, nullptr, 1, &all);
        CHECK(search(world, resident, strategy, nullptr, 2, &near, 16) >= kQueries);
        CHECK(2 * near < all);
    }
}

// The longer codes leave less in doubt, and lose nothing.
void fine_codes_save_reads(const World& world) {
    SegmentParts without = world.parts(true, true, nullptr);
    without.fine_quantizer = nullptr;
    without.fine_records = nullptr;
    const Searcher coarse(without), finer(world.parts(true, true, nullptr));
    for (const Strategy strategy : {Strategy::kWalk, Strategy::kCodeScan}) {
        std::uint64_t by_coarse = 0, by_fine = 0;
        const std::size_t found = search(world, coarse, strategy, nullptr, 1, &by_coarse);
        CHECK(search(world, finer, strategy, nullptr, 3, &by_fine) >= found);
        CHECK(by_fine < by_coarse);
    }
}

// Soon at first, and in few steps as late as the slowest machine may need.
std::chrono::microseconds later(unsigned step) {
    return std::chrono::microseconds(static_cast<std::int64_t>(50 * std::pow(1.3, step)));
}

// Reads are under way when the time is up: they end before what they read into does.
void a_search_ends_in_time(const World& world) {
    const Searcher searcher(world.parts(true, true, nullptr));
    unsigned late = 0, in_time = 0;
    for (unsigned step = 0; step < 60 && (late == 0 || in_time == 0); ++step) {
        const TimeLimit limit{std::chrono::steady_clock::now() + later(step)};
        try {
            search(world, searcher, Strategy::kBruteForce, nullptr, 1 + step % 3, nullptr, kFar, limit);
            ++in_time;
        } catch (const TooLateError&) {
            ++late;
        }
    }
    CHECK(late >= 1 && in_time >= 1);
    CHECK(search(world, searcher, Strategy::kWalk, nullptr, 2) >= kQueries * kK * 9 / 10);
}

// Another thread may give a search up at any time.
void a_search_is_given_up(const World& world) {
    const Searcher searcher(world.parts(true, true, nullptr));
    unsigned given_up = 0, done = 0;
    for (unsigned step = 0; step < 60 && (given_up == 0 || done == 0); ++step) {
        char flag = 0;
        const TimeLimit limit{std::chrono::steady_clock::time_point::max(), &flag};
        std::thread giver([&] {
            std::this_thread::sleep_for(later(step));
            __atomic_store_n(&flag, 1, __ATOMIC_RELAXED);
        });
        try {
            search(world, searcher, Strategy::kBruteForce, nullptr, 1 + step % 3, nullptr, kFar, limit);
            ++done;
        } catch (const TooLateError& error) {
            CHECK(std::string(error.what()).find("given up") != std::string::npos);
            ++given_up;
        }
        giver.join();
    }
    CHECK(given_up >= 1 && done >= 1);
    char flag = 1;
    const TimeLimit over{std::chrono::steady_clock::time_point::max(), &flag};
    for (const Strategy strategy : {Strategy::kCodeScan, Strategy::kWalk, Strategy::kNodeWalk}) {
        bool is_told = false;
        try {
            search(world, searcher, strategy, nullptr, 1, nullptr, kFar, over);
        } catch (const TooLateError&) {
            is_told = true;
        }
        CHECK(is_told);
    }
}

void damage_is_told(const World& world, const std::shared_ptr<BlockSource>& cached) {
    const Searcher searcher(world.parts(true, true, cached));
    for (const unsigned threads : {1u, 3u}) {
        bool is_told = false;
        try {
            search(world, searcher, Strategy::kBruteForce, nullptr, threads);
        } catch (const CorruptionError& error) {
            is_told = std::string(error.what()).find("block 3 ") != std::string::npos;
        }
        CHECK(is_told);
    }
}

void many_callers_at_once(const World& world) {
    const Searcher searcher(world.parts(true, true, nullptr));
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i) {
        callers.emplace_back([&] {
            CHECK(search(world, searcher, Strategy::kWalk, nullptr, 2) >= kQueries * kK * 9 / 10);
        });
    }
    for (std::thread& caller : callers) caller.join();
    CHECK(searcher.scratch_bytes() > 0);
}

// Rows that no code has to describe: those nearest to a query among them, which codes now say are far away.
void exact_rows_are_always_compared(const World& world) {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 0; row < kRows; row += 97) rows.push_back(row);
    std::vector<float> vectors;
    for (const std::uint32_t row : rows) {
        const float* vector = world.vectors.data() + std::size_t{row} * kDimension;
        vectors.insert(vectors.end(), vector, vector + kDimension);
    }
    for (const bool has_graph : {true, false}) {
        SegmentParts parts = world.parts(true, has_graph, nullptr);
        parts.exact_rows = rows;
        parts.exact_vectors = vectors.data();
        parts.apart = rows;
        const Searcher searcher(std::move(parts));
        const std::size_t all = kQueries * kK;
        CHECK(search(world, searcher, Strategy::kBruteForce, nullptr, 2) == all);
        CHECK(search(world, searcher, Strategy::kCodeScan, nullptr, 2) >= all * 95 / 100);
        if (has_graph) CHECK(search(world, searcher, Strategy::kWalk, nullptr, 2) >= all * 95 / 100);
    }
}

void rows_are_met(const World& world) {
    const Searcher searcher(world.parts(true, true, nullptr));
    std::vector<std::uint32_t> rows(kRows);
    for (std::uint32_t row = 0; row < kRows; ++row) rows[row] = row;
    std::vector<std::uint8_t> met(kRows);
    searcher.meet(world.vectors.data(), rows.data(), kRows, 64, 3, met.data());
    CHECK(std::count(met.begin(), met.end(), 1) >= static_cast<std::ptrdiff_t>(kRows * 99 / 100));
    searcher.meet(world.vectors.data(), rows.data(), 1, 1, 1, met.data());
    searcher.meet(world.vectors.data(), rows.data(), 0, 1, 1, met.data());
}

}  // namespace

int main() {
    for (const Coded coded : {Coded::kAlongBasis, Coded::kAlongBasisAndFine}) {
        const World along(coded);
        along.write(kNone);
        every_strategy_finds(along, nullptr);
        what_is_too_far_is_not_read(along);
        many_callers_at_once(along);
        if (along.fine) fine_codes_save_reads(along);
    }
    for (const Coded coded : {Coded::kAlike, Coded::kAlongBasisAndFine}) {
        const World in_lists(coded, true);
        in_lists.write(kNone);
        every_strategy_finds(in_lists, nullptr);
        lists_are_enough(in_lists);
    }
    const World world(Coded::kAlike);
    world.write(kNone);
    every_strategy_finds(world, nullptr);
    every_strategy_finds(world, small_cache());
    what_is_too_far_is_not_read(world);
    many_callers_at_once(world);
    a_search_ends_in_time(world);
    a_search_is_given_up(world);
    exact_rows_are_always_compared(world);
    rows_are_met(world);
    world.write(3);
    damage_is_told(world, nullptr);
    damage_is_told(world, small_cache());
    std::remove(kPath.c_str());
}
