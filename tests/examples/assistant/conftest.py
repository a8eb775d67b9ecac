"""Documents of every kind, and a library of them with real vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.assistant_documents import MACHINES, NOTES, OTTERS, RIVERS, sources_of, write_documents

import lutra
from examples.assistant.library import Library
from examples.assistant.retrieval import Retriever
from lutra.embedding.tfidf import TfidfEmbedder


@pytest.fixture(scope="session")
def embedder() -> TfidfEmbedder:
    """A fast model, which knows the documents' English words."""
    texts = [OTTERS, MACHINES, NOTES, *RIVERS]
    return TfidfEmbedder.fit([line for text in texts for line in text.splitlines() if line] * 2, dimension=16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_documents(tmp_path / "documents")
    return tmp_path / "documents"


@pytest.fixture
def database() -> Iterator[lutra.Database]:
    with lutra.connect() as opened:
        yield opened


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, embedder: TfidfEmbedder) -> Iterator[Library]:
    """A library of the documents, for tests that only read."""
    folder = tmp_path_factory.mktemp("filled") / "documents"
    write_documents(folder)
    with lutra.connect() as opened:
        lutra.register_model("words-of-the-documents", embedder)
        library = Library.make(opened, "words-of-the-documents")
        library.fill(sources_of(folder))
        yield library


@pytest.fixture(scope="session")
def retriever(filled: Library, embedder: TfidfEmbedder) -> Retriever:
    return Retriever(filled, embedder)
