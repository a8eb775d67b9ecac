"""Segments of a search index: immutable objects that hold the documents of an index, built from buffers and merged."""
