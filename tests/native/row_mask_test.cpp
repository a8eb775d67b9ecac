// Row masks without Python, at every SIMD level, against the bytes they were made of. Meant to run under AddressSanitizer
// and UBSan, with the bytes at the very end of what may be read.
#include "row_mask.h"

#include <algorithm>
#include <random>
#include <vector>

#include "check.h"
#include "guarded.h"

namespace {

using namespace lutra;

using Random = std::mt19937_64;

// Bytes other than 0 and 1 as well: they are what a view of other integers as booleans gives.
Guarded bytes(Random& random, std::size_t rows, double share) {
    Guarded counts(rows);
    std::bernoulli_distribution is_in(share);
    for (std::size_t row = 0; row < rows; ++row) {
        counts.get()[row] = is_in(random) ? static_cast<std::uint8_t>(1 + random() % 255) : 0;
    }
    return counts;
}

void is_what_it_was_made_of(Random& random, std::size_t rows, double share, SimdLevel level) {
    const Guarded counts = bytes(random, rows, share);
    const RowMask mask(counts.get(), rows, level);
    std::vector<std::size_t> expected;
    for (std::size_t row = 0; row < rows; ++row) {
        CHECK(mask.contains(row) == (counts.get()[row] != 0));
        if (counts.get()[row] != 0) expected.push_back(row);
    }
    CHECK(mask.row_count() == rows && mask.count() == expected.size());
    for (int round = 0; round < 20; ++round) {
        const std::size_t begin = random() % (rows + 1), end = begin + random() % (rows - begin + 1);
        const auto from = std::lower_bound(expected.begin(), expected.end(), begin);
        const auto to = std::lower_bound(expected.begin(), expected.end(), end);
        std::vector<std::size_t> found;
        mask.each(begin, end, [&](std::size_t row) { found.push_back(row); });
        CHECK(found == std::vector<std::size_t>(from, to));
        CHECK(mask.first(begin, end) == (from == to ? end : *from));
    }
    for (const std::size_t most : {std::size_t{1}, std::size_t{7}, std::size_t{64}}) {
        const std::vector<std::uint32_t> spread = evenly_spread(mask, most);
        CHECK(spread.size() <= most && spread.empty() == expected.empty());
        CHECK(std::is_sorted(spread.begin(), spread.end()));
        for (const std::uint32_t row : spread) CHECK(mask.contains(row));
    }
}

void combines(Random& random, std::size_t rows, SimdLevel level) {
    const Guarded a = bytes(random, rows, 0.4), b = bytes(random, rows, 0.4), c = bytes(random, rows, 0.4);
    const RowMask one(a.get(), rows, level), other(b.get(), rows, level), third(c.get(), rows, level);
    const RowMask masks[] = {both(one, other, level), either(one, other, level), without(one, other, level),
                             at_least(2, std::vector<const RowMask*>{&one, &other, &third}, rows)};
    std::size_t counts[4] = {};
    for (std::size_t row = 0; row < rows; ++row) {
        const bool is_a = a.get()[row] != 0, is_b = b.get()[row] != 0, is_c = c.get()[row] != 0;
        const bool expected[] = {is_a && is_b, is_a || is_b, is_a && !is_b, is_a + is_b + is_c >= 2};
        for (std::size_t i = 0; i < 4; ++i) {
            CHECK(masks[i].contains(row) == expected[i]);
            counts[i] += expected[i];
        }
    }
    for (std::size_t i = 0; i < 4; ++i) CHECK(masks[i].count() == counts[i] && masks[i].row_count() == rows);
    const RowMask again(one.words(), rows, level);
    CHECK(again.words() == one.words() && again.count() == one.count());
    CHECK(RowMask(std::vector<std::uint64_t>(one.words().size(), ~std::uint64_t{0}), rows, level).count() == rows);
    std::vector<std::int64_t> up = first_rows(one, rows, false), down = first_rows(one, rows, true);
    CHECK(up.size() == one.count() && std::is_sorted(up.begin(), up.end()));
    std::reverse(down.begin(), down.end());
    CHECK(up == down);
    CHECK(first_rows(one, 3, false) == std::vector<std::int64_t>(up.begin(), up.begin() + std::min<std::size_t>(3, up.size())));
}

void rows_are_looked_up(Random& random, std::size_t rows, SimdLevel level) {
    const Guarded counts = bytes(random, rows, 0.4);
    const RowMask mask(counts.get(), rows, level);
    for (const std::size_t count : {0, 1, 15, 16, 17, 64, 100, 777}) {
        Guarded asked(count * sizeof(std::int32_t));
        auto* wanted = reinterpret_cast<std::int32_t*>(asked.get());
        for (std::size_t i = 0; i < count; ++i) wanted[i] = static_cast<std::int32_t>(random() % std::max<std::size_t>(rows, 1));
        std::vector<std::uint64_t> found((count + 63) / 64, ~std::uint64_t{0});
        CHECK(look_up(mask, wanted, count, level, found.data()) == (rows > 0 || count == 0));
        if (rows == 0) continue;
        for (std::size_t i = 0; i < 64 * found.size(); ++i) {
            const bool counts_now = i < count && counts.get()[wanted[i]] != 0;
            CHECK((found[i / 64] >> i % 64 & 1) == (counts_now ? 1u : 0u));
        }
        for (const std::int32_t outside : {static_cast<std::int32_t>(rows), -1}) {
            for (const std::size_t at : {std::size_t{0}, count - 1}) {
                if (count == 0) continue;
                const std::int32_t before = wanted[at];
                wanted[at] = outside;
                CHECK(!look_up(mask, wanted, count, level, found.data()));
                wanted[at] = before;
            }
        }
    }
}

}  // namespace

int main() {
    Random random(7);
    for (const SimdLevel level : simd_levels()) {
        for (const std::size_t rows : {0, 1, 7, 63, 64, 65, 127, 128, 300, 5'000}) {
            for (const double share : {0.0, 0.01, 0.5, 1.0}) is_what_it_was_made_of(random, rows, share, level);
            combines(random, rows, level);
            rows_are_looked_up(random, rows, level);
        }
    }
}
