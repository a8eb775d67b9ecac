// A stream of a segment that is read through the block cache.
#pragma once

#include <memory>
#include <string>

#include "block_cache.h"
#include "text_stream.h"

namespace lutra::text {

// Of blocks that end in their checksums. `name`: of the section, for errors.
std::shared_ptr<const ByteStream> stream_of_blocks(std::shared_ptr<BlockSource> blocks, std::string name);

}  // namespace lutra::text
