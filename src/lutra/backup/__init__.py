"""Backups of data directories at a place of their own: content by its checksum, lists of it, and who may delete."""
