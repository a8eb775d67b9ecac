#include "aggregate.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lutra {

namespace {

constexpr std::size_t kLanes = 4;

inline void add(double& sum, double& rest, double value) {
    const double total = sum + value;
    if (std::isfinite(total)) rest += std::fabs(sum) >= std::fabs(value) ? (sum - total) + value : (value - total) + sum;
    sum = total;
}

inline void add(std::int64_t& high, std::uint64_t& low, std::int64_t value) {
    const std::uint64_t bits = static_cast<std::uint64_t>(value);
    low += bits;
    const std::uint64_t carry = low < bits ? 1 : 0;
    high = static_cast<std::int64_t>(static_cast<std::uint64_t>(high) + carry - (value < 0 ? 1 : 0));
}

template <class T>
void extend_each(const T* values, const std::int32_t* groups, std::size_t count, T* least, T* most) {
    if (groups == nullptr) {
        T low = *least, high = *most;
        for (std::size_t i = 0; i < count; ++i) {
            low = values[i] < low ? values[i] : low;
            high = values[i] > high ? values[i] : high;
        }
        *least = low;
        *most = high;
        return;
    }
    for (std::size_t i = 0; i < count; ++i) {
        const std::int32_t group = groups[i];
        if (values[i] < least[group]) least[group] = values[i];
        if (values[i] > most[group]) most[group] = values[i];
    }
}

// Open addressing over the keys that were seen; grows so that at most half of its places are taken.
class Numbering {
public:
    Numbering() : places_(kPlacesFirst, -1) {}

    std::int32_t number(std::int64_t key) {
        std::size_t place = place_of(key);
        while (places_[place] >= 0) {
            if (keys[static_cast<std::size_t>(places_[place])] == key) return places_[place];
            place = (place + 1) & (places_.size() - 1);
        }
        const auto number = static_cast<std::int32_t>(keys.size());
        places_[place] = number;
        keys.push_back(key);
        if (keys.size() * 2 > places_.size()) grow();
        return number;
    }

    std::vector<std::int64_t> keys;

private:
    static constexpr std::size_t kPlacesFirst = 1024;

    std::size_t place_of(std::int64_t key) const {
        std::uint64_t hash = static_cast<std::uint64_t>(key) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
        hash *= 0xD6E8FEB86659FD93u;
        return (hash ^ (hash >> 32)) & (places_.size() - 1);
    }

    void grow() {
        places_.assign(places_.size() * 2, -1);
        for (std::size_t number = 0; number < keys.size(); ++number) {
            std::size_t place = place_of(keys[number]);
            while (places_[place] >= 0) place = (place + 1) & (places_.size() - 1);
            places_[place] = static_cast<std::int32_t>(number);
        }
    }

    std::vector<std::int32_t> places_;
};

}  // namespace

void add_doubles(const double* values, const std::int32_t* groups, std::size_t count, double* sums, double* rests) {
    if (groups != nullptr) {
        for (std::size_t i = 0; i < count; ++i) add(sums[groups[i]], rests[groups[i]], values[i]);
        return;
    }
    // Several sums at once: one alone would wait for itself.
    double lane_sums[kLanes] = {}, lane_rests[kLanes] = {};
    const std::size_t whole = count - count % kLanes;
    for (std::size_t i = 0; i < whole; i += kLanes) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) add(lane_sums[lane], lane_rests[lane], values[i + lane]);
    }
    for (std::size_t i = whole; i < count; ++i) add(*sums, *rests, values[i]);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        add(*sums, *rests, lane_sums[lane]);
        add(*sums, *rests, lane_rests[lane]);
    }
}

void add_longs(const std::int64_t* values, const std::int32_t* groups, std::size_t count, std::int64_t* highs,
               std::uint64_t* lows) {
    if (groups != nullptr) {
        for (std::size_t i = 0; i < count; ++i) add(highs[groups[i]], lows[groups[i]], values[i]);
        return;
    }
    std::int64_t high = *highs;
    std::uint64_t low = *lows;
    for (std::size_t i = 0; i < count; ++i) add(high, low, values[i]);
    *highs = high;
    *lows = low;
}

void extend(const double* values, const std::int32_t* groups, std::size_t count, double* least, double* most) {
    extend_each(values, groups, count, least, most);
}

void extend(const std::int64_t* values, const std::int32_t* groups, std::size_t count, std::int64_t* least,
            std::int64_t* most) {
    extend_each(values, groups, count, least, most);
}

void add_counts(const std::int32_t* groups, std::size_t count, std::int64_t* counts) {
    for (std::size_t i = 0; i < count; ++i) ++counts[groups[i]];
}

bool all_below(const std::int32_t* groups, std::size_t count, std::int32_t limit) {
    std::int32_t least = 0, most = -1;
    for (std::size_t i = 0; i < count; ++i) {
        least = std::min(least, groups[i]);
        most = std::max(most, groups[i]);
    }
    return least >= 0 && most < limit;
}

std::vector<std::int64_t> number_keys(const std::int64_t* keys, std::size_t count, std::size_t most,
                                      std::int32_t* numbers) {
    Numbering numbering;
    for (std::size_t i = 0; i < count; ++i) {
        numbers[i] = numbering.number(keys[i]);
        if (numbering.keys.size() > most) break;
    }
    return std::move(numbering.keys);
}

}  // namespace lutra
