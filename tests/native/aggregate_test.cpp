// Sums, extremes, counts and numbers of keys without Python: against plain ones, on arrays that end where what may be
// read ends.
#include "aggregate.h"

#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "check.h"
#include "guarded.h"

namespace {

constexpr std::int32_t kGroups = 5;

template <class T>
T* placed(const Guarded& place, const std::vector<T>& values) {
    if (!values.empty()) std::memcpy(place.get(), values.data(), values.size() * sizeof(T));
    return reinterpret_cast<T*>(place.get());
}

void check_longs(std::mt19937_64& random, std::size_t count) {
    std::vector<std::int64_t> values(count);
    std::vector<std::int32_t> groups(count);
    __int128 expected[kGroups] = {}, whole = 0;
    std::int64_t expected_counts[kGroups] = {};
    for (std::size_t i = 0; i < count; ++i) {
        values[i] = static_cast<std::int64_t>(random());
        groups[i] = static_cast<std::int32_t>(random() % kGroups);
        expected[groups[i]] += values[i];
        whole += values[i];
        ++expected_counts[groups[i]];
    }
    const Guarded value_place(count * sizeof(std::int64_t)), group_place(count * sizeof(std::int32_t));
    const std::int64_t* of_values = placed(value_place, values);
    const std::int32_t* of_groups = placed(group_place, groups);
    std::int64_t highs[kGroups] = {}, high = 0, counts[kGroups] = {};
    std::uint64_t lows[kGroups] = {}, low = 0;
    lutra::add_longs(of_values, of_groups, count, highs, lows);
    lutra::add_longs(of_values, nullptr, count, &high, &low);
    lutra::add_counts(of_groups, count, counts);
    CHECK((static_cast<__int128>(high) << 64) + low == whole);
    for (std::int32_t group = 0; group < kGroups; ++group) {
        CHECK((static_cast<__int128>(highs[group]) << 64) + lows[group] == expected[group]);
        CHECK(counts[group] == expected_counts[group]);
    }
    CHECK(lutra::all_below(of_groups, count, kGroups));
    if (count > 0) {
        std::int64_t least = std::numeric_limits<std::int64_t>::max(), most = std::numeric_limits<std::int64_t>::min();
        lutra::extend(of_values, nullptr, count, &least, &most);
        for (const std::int64_t value : values) CHECK(least <= value && value <= most);
        CHECK(!lutra::all_below(of_groups, count, 0));
    }
}

void check_doubles(std::mt19937_64& random, std::size_t count) {
    std::vector<double> values(count);
    std::vector<std::int32_t> groups(count);
    long double expected[kGroups] = {}, whole = 0;
    for (std::size_t i = 0; i < count; ++i) {
        values[i] = static_cast<double>(static_cast<std::int64_t>(random() % 2000) - 1000) / 8;
        groups[i] = static_cast<std::int32_t>(random() % kGroups);
        expected[groups[i]] += values[i];
        whole += values[i];
    }
    const Guarded value_place(count * sizeof(double)), group_place(count * sizeof(std::int32_t));
    const double* of_values = placed(value_place, values);
    const std::int32_t* of_groups = placed(group_place, groups);
    double sums[kGroups] = {}, rests[kGroups] = {}, sum = 0, rest = 0;
    lutra::add_doubles(of_values, of_groups, count, sums, rests);
    lutra::add_doubles(of_values, nullptr, count, &sum, &rest);
    CHECK(sum + rest == static_cast<double>(whole));
    for (std::int32_t group = 0; group < kGroups; ++group) CHECK(sums[group] + rests[group] == expected[group]);
}

void check_keys(std::mt19937_64& random, std::size_t count, std::uint64_t different) {
    std::vector<std::int64_t> keys(count);
    for (std::int64_t& key : keys) key = static_cast<std::int64_t>((random() % different) << 40);
    const Guarded key_place(count * sizeof(std::int64_t)), number_place(count * sizeof(std::int32_t));
    const std::int64_t* of_keys = placed(key_place, keys);
    auto* numbers = reinterpret_cast<std::int32_t*>(number_place.get());
    const std::vector<std::int64_t> found = lutra::number_keys(of_keys, count, count, numbers);
    std::map<std::int64_t, std::int32_t> expected;
    for (std::size_t i = 0; i < count; ++i) {
        const auto number = static_cast<std::int32_t>(expected.size());
        CHECK(numbers[i] == expected.emplace(keys[i], number).first->second);
        CHECK(found[static_cast<std::size_t>(numbers[i])] == keys[i]);
    }
    CHECK(found.size() == expected.size());
    if (found.size() > 1) CHECK(lutra::number_keys(of_keys, count, 1, numbers).size() == 2);
}

}  // namespace

int main() {
    std::mt19937_64 random(1);
    for (const std::size_t count : {0, 1, 3, 4, 5, 7, 8, 100, 1001}) {
        check_longs(random, count);
        check_doubles(random, count);
        check_keys(random, count, 10);
        check_keys(random, count, 1'000'000);
    }
    check_keys(random, 20'000, 1'000'000);
    return 0;
}
