// Points as clients write them: "lat,lon", in degrees.
#pragma once

#include <optional>
#include <string_view>

#include "geo_point.h"

namespace lutra::geo {

// Two decimal numbers with a comma between them, white space around each. Nothing where `text` is not that, or a number
// is none of the earth's.
std::optional<Point> read_point(std::string_view text);

}  // namespace lutra::geo
