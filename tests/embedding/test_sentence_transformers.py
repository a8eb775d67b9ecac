import importlib.util

import pytest

from lutra.embedding.sentence_transformers import SentenceTransformerEmbedder

INSTALLED = importlib.util.find_spec("sentence_transformers") is not None


@pytest.mark.skipif(INSTALLED, reason="sentence-transformers is installed")
def test_without_the_library_it_says_what_to_install() -> None:
    with pytest.raises(ImportError, match=r"pip install 'lutra\[sentence-transformers\]'"):
        SentenceTransformerEmbedder("any-model")
