"""Answers search requests over a view of an index; knows nothing of tables."""

from lutra.search.executor import Answer, search

__all__ = ["Answer", "search"]
