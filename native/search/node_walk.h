// Best-first walk over a graph on disk: the node of a row gives its neighbours and its vector in one read (DiskANN).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "beam.h"
#include "codes.h"
#include "node_reader.h"
#include "searcher.h"

namespace lutra {

// A walk that asks for nodes and is given them, several at a time. Neighbours are ranked by their codes where these are
// in memory; where they are not, by their vectors, which costs a read for each.
class NodeWalk {
  public:
    explicit NodeWalk(const SegmentParts& parts) : parts_(parts) {}

    // `code` has to stay while the walk lasts; nullptr: there are no codes. `left_out`: a row that is not walked to.
    void begin(const QueryCode* code, std::size_t beam, std::uint32_t left_out);

    // Replaces `rows` with those whose nodes are wanted next, at most `most`. None: the walk is over.
    void next(std::size_t most, std::vector<std::uint32_t>& rows);

    // Whether the distances of the rows asked for last are new: each row is asked for once for its distance.
    bool is_measuring() const { return is_measuring_ || code_ != nullptr; }

    // Gives the node of a row that was asked for: its distance, and its neighbours [degree]. Throws CorruptionError
    // where a neighbour is no row.
    void give(std::uint32_t row, float distance, const std::uint32_t* neighbours);
    // All that `next` asked for was given.
    void end_round();

    // Whether nothing nearer than `distance` is left that the walk could have met: it lies within the beam.
    bool has_looked_through(float distance) const {
        return !beam_.is_full() || distance <= beam_.items().back().distance;
    }
    // Takes back what fell off the beam, twice as many as it holds. False: nothing did.
    bool widen();

    std::uint64_t hops() const { return hops_; }
    std::uint64_t estimates() const { return estimates_; }

  private:
    void meet(std::uint32_t row);

    const SegmentParts& parts_;
    const QueryCode* code_ = nullptr;
    bool is_measuring_ = false;
    std::uint64_t hops_ = 0;
    std::uint64_t estimates_ = 0;
    Beam beam_;
    RowSet seen_;
    std::vector<std::uint32_t> met_;  // rows seen for the first time, their distances not known
    std::vector<const std::uint8_t*> records_;
    std::vector<float> distances_;
    std::vector<Candidate> fresh_;
    std::vector<Candidate> spilled_;
};

}  // namespace lutra
