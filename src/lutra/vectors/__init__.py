"""Columns of vectors: growable float32 matrices, searched exactly."""
