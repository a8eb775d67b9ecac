import importlib.util
from pathlib import Path

import numpy as np
import pytest

from lutra.embedding.embedder import EmbeddingError
from lutra.embedding.sentence_transformers import SentenceTransformerEmbedder

INSTALLED = importlib.util.find_spec("sentence_transformers") is not None


@pytest.mark.skipif(INSTALLED, reason="sentence-transformers is installed")
def test_without_the_library_it_says_what_to_install() -> None:
    with pytest.raises(ImportError, match=r"pip install 'lutra\[sentence-transformers\]'"):
        SentenceTransformerEmbedder("any-model")


@pytest.mark.skipif(not INSTALLED, reason="sentence-transformers is not installed")
@pytest.mark.filterwarnings("ignore")  # torch's and its friends' own
def test_a_model_in_a_folder(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "north": 1, "east": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.array([[0, 0, 1], [0, 2, 0], [3, 0, 0]], dtype=np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)]).save(str(tmp_path))

    embedder = SentenceTransformerEmbedder(str(tmp_path), device="cpu")
    assert embedder.dimension == 3
    assert embedder.name == str(tmp_path)
    vectors = embedder.embed(["north", "east", "nowhere"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0, 1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-6)
    assert embedder.embed([]).shape == (0, 3)


@pytest.mark.skipif(not INSTALLED, reason="sentence-transformers is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match="cannot load the model"):
        SentenceTransformerEmbedder(str(tmp_path / "nothing"))
