// What a walk over a graph keeps: the nearest rows found, and which rows it has seen.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace lutra {

// A row and its distance, ordered by distance and then by row, so that every walk has one order.
struct Candidate {
    float distance;
    std::uint32_t row;

    bool operator<(const Candidate& other) const {
        return distance != other.distance ? distance < other.distance : row < other.row;
    }
};

// The `width` nearest candidates found, and which of them are expanded (their neighbours looked at).
class Beam {
  public:
    void reset(std::size_t width) {
        width_ = width;
        next_ = 0;
        items_.clear();
    }

    std::size_t width() const { return width_; }
    void widen(std::size_t width) { width_ = std::max(width_, width); }
    // What is too much falls off with the next merge.
    void narrow(std::size_t width) { width_ = std::min(width_, width); }
    const std::vector<Candidate>& items() const { return items_; }
    bool is_full() const { return items_.size() >= width_; }
    bool takes(float distance) const { return !is_full() || distance < items_.back().distance; }

    // Fills `taken` with those of the rows [count] that the beam takes at their distances. (Without a branch a row: which
    // are taken is a matter of chance, and half of the branches would be foretold wrongly.)
    void choose(const std::uint32_t* rows, const float* distances, std::size_t count,
                std::vector<Candidate>& taken) const {
        const bool takes_all = !is_full();
        const float limit = takes_all ? 0.0f : items_.back().distance;
        taken.resize(count);
        std::size_t size = 0;
        for (std::size_t i = 0; i < count; ++i) {
            taken[size] = {distances[i], rows[i]};
            size += (takes_all | (distances[i] < limit)) ? 1 : 0;
        }
        taken.resize(size);
    }

    // The nearest one not yet expanded, which counts as expanded from now on; nullptr where there is none.
    const Candidate* expand() {
        while (next_ < items_.size() && expanded_[next_] != 0) ++next_;
        if (next_ == items_.size()) return nullptr;
        expanded_[next_] = 1;
        return &items_[next_++];
    }

    // Whether all up to the farthest are expanded. Until then a wider beam would have expanded the same ones.
    bool is_spent() const { return next_ == items_.size(); }

    // Fills `rows` with those that `expand` would give next, at most `count`; returns how many there are.
    std::size_t peek(std::uint32_t* rows, std::size_t count) const {
        std::size_t found = 0;
        for (std::size_t at = next_; at < items_.size() && found < count; ++at) {
            if (expanded_[at] == 0) rows[found++] = items_[at].row;
        }
        return found;
    }

    // Takes out those from the place `from` on that `leaves`; those not expanded go to `spilled`.
    template <class Leaves>
    void drop(std::size_t from, const Leaves& leaves, std::vector<Candidate>& spilled) {
        std::size_t kept = std::min(from, items_.size());
        for (std::size_t i = kept; i < items_.size(); ++i) {
            if (leaves(items_[i])) {
                if (expanded_[i] == 0) spilled.push_back(items_[i]);
                continue;
            }
            items_[kept] = items_[i];
            expanded_[kept++] = expanded_[i];
        }
        items_.resize(kept);
        next_ = std::min({next_, from, kept});
    }

    // Takes in candidates (which get sorted), none of them in the beam already. Those that fall off, old or new, and
    // were not expanded go to `spilled`, where there is one.
    void merge(std::vector<Candidate>& fresh, std::vector<Candidate>* spilled = nullptr) {
        if (fresh.size() > width_) {  // as where walks begin, at entries
            const auto most = fresh.begin() + static_cast<std::ptrdiff_t>(width_);
            std::nth_element(fresh.begin(), most, fresh.end());
            if (spilled != nullptr) spilled->insert(spilled->end(), most, fresh.end());
            fresh.erase(most, fresh.end());
        }
        std::sort(fresh.begin(), fresh.end());
        std::size_t old_left = items_.size();
        std::size_t fresh_left = fresh.size();
        for (; old_left + fresh_left > width_;) {
            if (fresh_left > 0 && (old_left == 0 || items_[old_left - 1] < fresh[fresh_left - 1])) {
                --fresh_left;
                if (spilled != nullptr) spilled->push_back(fresh[fresh_left]);
            } else {
                --old_left;
                if (spilled != nullptr && expanded_[old_left] == 0) spilled->push_back(items_[old_left]);
            }
        }
        std::size_t place = old_left + fresh_left;
        items_.resize(place);
        expanded_.resize(std::max(expanded_.size(), place));
        // From the farthest on: what lies behind a fresh one moves to its place in one piece.
        while (fresh_left > 0) {
            const Candidate& last = fresh[--fresh_left];
            const auto begin = items_.begin();
            const auto behind = std::upper_bound(begin, begin + static_cast<std::ptrdiff_t>(old_left), last);
            const auto at = static_cast<std::size_t>(behind - begin);
            place -= old_left - at;
            std::memmove(items_.data() + place, items_.data() + at, (old_left - at) * sizeof(Candidate));
            std::memmove(expanded_.data() + place, expanded_.data() + at, old_left - at);
            old_left = at;
            items_[--place] = last;
            expanded_[place] = 0;
            next_ = std::min(next_, place);
        }
        next_ = std::min(next_, items_.size());
    }

  private:
    std::size_t width_ = 0;
    std::size_t next_ = 0;  // all before it are expanded
    std::vector<Candidate> items_;
    std::vector<std::uint8_t> expanded_;
};

// A set of row numbers: a bit each, cleared by the words that were touched.
class RowSet {
  public:
    void reset(std::size_t row_count) {
        for (const std::uint32_t word : touched_) words_[word] = 0;
        touched_.clear();
        words_.resize((row_count + 63) / 64);
    }

    // Whether the row was not in the set.
    bool insert(std::uint32_t row) {
        std::uint64_t& word = words_[row / 64];
        const std::uint64_t bit = std::uint64_t{1} << row % 64;
        if ((word & bit) != 0) return false;
        if (word == 0) touched_.push_back(row / 64);
        word |= bit;
        return true;
    }

    // Inserts all of `rows`; fills `fresh` with those that were not in the set. (Without a branch, as `Beam::choose`.)
    void insert(std::span<const std::uint32_t> rows, std::vector<std::uint32_t>& fresh) {
        const std::size_t touched_before = touched_.size();
        touched_.resize(touched_before + rows.size());
        fresh.resize(rows.size());
        std::uint32_t* touched = touched_.data() + touched_before;
        std::size_t touched_count = 0;
        std::size_t fresh_count = 0;
        for (const std::uint32_t row : rows) {
            std::uint64_t& word = words_[row / 64];
            touched[touched_count] = row / 64;
            touched_count += word == 0 ? 1 : 0;
            fresh[fresh_count] = row;
            fresh_count += (word >> row % 64 & 1) ^ 1;
            word |= std::uint64_t{1} << row % 64;
        }
        touched_.resize(touched_before + touched_count);
        fresh.resize(fresh_count);
    }

    bool contains(std::uint32_t row) const { return (words_[row / 64] >> row % 64 & 1) != 0; }

  private:
    std::vector<std::uint64_t> words_;
    std::vector<std::uint32_t> touched_;
};

}  // namespace lutra
