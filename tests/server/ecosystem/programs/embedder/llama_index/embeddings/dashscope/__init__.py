"""Stands in for a service of embeddings, which is imported but not asked."""

from __future__ import annotations


class DashScopeEmbedding:
    """Cannot be made."""

    def __init__(self, **_: object) -> None:
        raise NotImplementedError
