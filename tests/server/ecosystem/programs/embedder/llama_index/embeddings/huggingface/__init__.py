"""Stands in for the package of embedding models, which would be downloaded: vectors of the characters in a text."""

from __future__ import annotations

import os
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from texts import vector_of


class HuggingFaceEmbedding(BaseEmbedding):
    """As wide as ``TABLESTORE_VECTOR_DIMENSION`` says."""

    def __init__(self, model_name: str, **_: Any) -> None:
        super().__init__(model_name=model_name)

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = vector_of(text)
        return vector * (int(os.environ["TABLESTORE_VECTOR_DIMENSION"]) // len(vector))

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)
