import json
from pathlib import Path

import numpy as np
import pytest

from lutra.embedding.tfidf import TfidfEmbedder
from lutra.embedding.words import words
from lutra.model.errors import Corruption, ParameterInvalid

TEXTS = [
    "parse a date from a string",
    "parse json from a string",
    "compress a file",
    "read a compressed file",
    "write json to a file",
    "format a date as a string",
    "random numbers between two values",
    "random choice of values",
]


@pytest.fixture(scope="module")
def embedder() -> TfidfEmbedder:
    return TfidfEmbedder.fit(TEXTS, 5)


def test_vectors_have_length_one_and_say_what_they_are(embedder: TfidfEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 5)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert embedder.dimension == 5
    assert embedder.name == "tfidf-svd-5"


def test_nearest_are_the_texts_that_share_words(embedder: TfidfEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    for question, expected in [("parsing dates", 0), ("compressing files", 2), ("a random number", 6)]:
        (vector,) = embedder.embed([question])
        assert int(np.argmax(vectors @ vector)) == expected, question


def test_a_text_without_a_known_word_is_zero(embedder: TfidfEmbedder) -> None:
    vectors = embedder.embed(["zebra", "", "the of and"])
    assert not vectors.any()
    assert embedder.embed([]).shape == (0, 5)


def test_the_same_texts_give_the_same_vectors(embedder: TfidfEmbedder) -> None:
    again = TfidfEmbedder.fit(TEXTS, 5)
    np.testing.assert_array_equal(again.embed(TEXTS), embedder.embed(TEXTS))


def test_saved_and_loaded_it_is_the_same(embedder: TfidfEmbedder, tmp_path: Path) -> None:
    path = tmp_path / "embedder.npz"
    path.write_bytes(b"an earlier one")
    embedder.save(path)
    np.testing.assert_array_equal(TfidfEmbedder.load(path).embed(TEXTS), embedder.embed(TEXTS))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "embedder.npz"
    path.write_bytes(content)
    with pytest.raises(Corruption, match=r"embedder\.npz"):
        TfidfEmbedder.load(path)


def test_another_version_or_parts_that_do_not_fit_are_refused(embedder: TfidfEmbedder, tmp_path: Path) -> None:
    path = tmp_path / "embedder.npz"
    embedder.save(path)
    with np.load(path) as archive:
        parts = dict(archive)
    newer = json.loads(parts["about"].tobytes()) | {"version": 99}
    for wrong in ({"about": np.frombuffer(json.dumps(newer).encode(), np.uint8)}, {"rarity": parts["rarity"][1:]}):
        np.savez(path, **(parts | wrong))
        with pytest.raises(Corruption):
            TfidfEmbedder.load(path)
    pickled = {"about": np.array([{"an": "object"}], dtype=object)}
    np.savez(path, **(parts | pickled))
    with pytest.raises(Corruption):
        TfidfEmbedder.load(path)


@pytest.mark.parametrize(("texts", "dimension"), [([], 4), (["the of"], 4), (TEXTS, 256), (TEXTS, 0)])
def test_too_little_to_learn_from_is_refused(texts: list[str], dimension: int) -> None:
    with pytest.raises(ParameterInvalid):
        TfidfEmbedder.fit(texts, dimension)


def test_weights_are_those_of_scikit_learn() -> None:
    """In another order of directions, and with other signs, the vectors of texts are as near to each other."""
    decomposition = pytest.importorskip("sklearn.decomposition")
    text = pytest.importorskip("sklearn.feature_extraction.text")
    weights = text.TfidfVectorizer(analyzer=words, sublinear_tf=True, min_df=2, dtype=np.float32).fit_transform(TEXTS)
    peer = decomposition.TruncatedSVD(5, n_iter=4, random_state=0).fit(weights)
    vectors = weights @ (peer.components_.T / np.sqrt(peer.singular_values_))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ours = TfidfEmbedder.fit(TEXTS, 5).embed(TEXTS)
    np.testing.assert_allclose(ours @ ours.T, vectors @ vectors.T, atol=1e-4)
