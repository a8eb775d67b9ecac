"""Typed face of the native extension: the PlainBuffer codec, and distances between vectors."""
