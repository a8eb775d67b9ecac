"""Building and merging segments: what is to be built, and the processes that do it."""
