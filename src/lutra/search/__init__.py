"""Answers search requests over a view of an index; knows nothing of tables."""

from lutra.search.executor import Answer, search, search_many

__all__ = ["Answer", "search", "search_many"]
