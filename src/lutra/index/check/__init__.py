"""Whether an index holds what its table holds, byte by byte and value by value."""
