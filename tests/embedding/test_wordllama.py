from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from lutra.embedding.wordllama import WordLlamaEmbedder
from lutra.model.errors import ParameterInvalid


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def test_texts_alike_are_near(embedder: WordLlamaEmbedder) -> None:
    texts = ["The whale sings a song in the sea.", "The beaver builds a dam of wood.", "Bread is baked in an oven."]
    vectors = embedder.embed(texts)
    assert (vectors.shape, vectors.dtype, embedder.name) == ((3, 256), np.float32, "wordllama")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for question, expected in [("an ocean mammal's music", 0), ("a rodent's construction of timber", 1), ("baking", 2)]:
        assert int(np.argmax(vectors @ embedder.embed_query([question])[0])) == expected


def test_it_gives_what_the_library_gives(embedder: WordLlamaEmbedder) -> None:
    """In a process of its own: the library sets up the log of the one that imports it."""
    texts = ["The otter sleeps.", "海獭", "a  b\tc\n", "x" * 300]
    code = """
import json, os, sys
import wordllama
model = wordllama.WordLlama.load(cache_dir=os.path.dirname(wordllama.__file__), disable_download=True)
print(json.dumps(model.embed(json.loads(sys.argv[1]), norm=True, batch_size=1).tolist()))
"""
    found = subprocess.run(
        [sys.executable, "-c", code, json.dumps(texts)], check=True, capture_output=True, timeout=100
    )
    np.testing.assert_allclose(embedder.embed(texts), json.loads(found.stdout), atol=1e-5)


def test_shorter_vectors_are_the_first_numbers(embedder: WordLlamaEmbedder) -> None:
    short = WordLlamaEmbedder(64)
    assert (short.dimension, short.name) == (64, "wordllama:64")
    [vector], [whole] = short.embed(["The otter sleeps."]), embedder.embed(["The otter sleeps."])
    np.testing.assert_allclose(vector, whole[:64] / np.linalg.norm(whole[:64]), atol=1e-5)
    with pytest.raises(ParameterInvalid, match="64, 128, 256, not 65"):
        WordLlamaEmbedder(65)


def test_odd_texts(embedder: WordLlamaEmbedder) -> None:
    vectors = embedder.embed(["", "\0", "\ud800", "word " * 20_000, "word"])
    assert np.isfinite(vectors).all()
    assert not vectors[0].any(), "without a word, no direction"
    assert vectors[3] @ vectors[4] > 0.9
    assert embedder.embed([]).shape == (0, 256)
    many = embedder.embed([f"text {number}" for number in range(130)])
    np.testing.assert_array_equal(many[129], embedder.embed(["text 129"])[0])
