"""Lutra: an open, self-hosted table store with vector search."""
