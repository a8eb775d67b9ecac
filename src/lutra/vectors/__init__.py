"""Columns of vectors in memory, searched exactly; segments of vectors on disk, with codes and a graph beside them."""
