"""What nodes say to each other, as bytes: the model's nouns as they are, in MessagePack.

Tuples stay tuples, and lists lists. An object is its class's name and its fields, in their order; both ends run one
version. Which classes there are is fixed: all dataclasses, enumerations and errors of `lutra.model`, and what others
`register`. So bytes can name nothing else, and make nothing but these.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import importlib
import inspect
import pkgutil
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgpack
import numpy as np

import lutra.model
from lutra.cluster import errors
from lutra.model.errors import Corruption, LutraError

_TUPLE: Final = 1
_OBJECT: Final = 2
_ENUM: Final = 3
_ARRAY: Final = 4
_ERROR: Final = 5
_SET: Final = 6
_FROZENSET: Final = 7
_INSTANT: Final = 8
_LARGE: Final = 9
_ARRAYS: Final = "biuf"
"""The kinds of numpy's dtypes that are sent."""
_BYTES_MAX: Final = (1 << 32) - 1

Class = TypeVar("Class", bound=type)


class _Registry:
    """Classes by their names. The model's are looked up at the first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, type] = {}
        self._names: dict[type, str] = {}
        self._fields: dict[type, tuple[str, ...]] = {}
        self._is_filled = False

    def add(self, known: type) -> None:
        name = f"{known.__module__.removeprefix('lutra.')}.{known.__qualname__}"
        before = self._by_name.setdefault(name, known)  # again the same where two threads fill it
        if before is not known:
            raise ValueError(f"two classes are called {name}")
        self._names[known] = name
        if dataclasses.is_dataclass(known):
            self._fields[known] = tuple(field.name for field in dataclasses.fields(known))

    def name_of(self, known: type) -> str | None:
        self._fill()
        return self._names.get(known)

    def of(self, name: str) -> type:
        """Raises KeyError."""
        self._fill()
        return self._by_name[name]

    def fields_of(self, known: type) -> tuple[str, ...]:
        return self._fields[known]

    def _fill(self) -> None:
        if self._is_filled:
            return
        with self._lock:
            for found in pkgutil.iter_modules(lutra.model.__path__):
                self._add_all(importlib.import_module(f"lutra.model.{found.name}"))
            self._add_all(errors)
            self._is_filled = True

    def _add_all(self, module: Any) -> None:
        for _, known in inspect.getmembers(module, inspect.isclass):
            is_sent = dataclasses.is_dataclass(known) or issubclass(known, enum.Enum | LutraError)
            if known.__module__ == module.__name__ and is_sent:
                self.add(known)


_registry: Final = _Registry()


def register(known: Class) -> Class:
    """Has a dataclass or an enumeration be sent, too. A decorator."""
    _registry.add(known)
    return known


def encode(value: object) -> bytes:
    """As bytes: None, bool, int, float, str, bytes, list, tuple, dict, set, datetime, arrays of numbers, and objects of
    classes that are known.

    Raises TypeError for anything else.
    """
    packed: bytes = msgpack.packb(value, default=_to_extension, strict_types=True, use_bin_type=True)
    return packed


def decode(data: bytes | memoryview) -> Any:
    """What was encoded. Raises Corruption for what `encode` does not make."""
    try:
        return msgpack.unpackb(
            data,
            ext_hook=_from_extension,
            strict_map_key=False,
            raw=False,
            max_bin_len=_BYTES_MAX,
            max_str_len=_BYTES_MAX,
        )
    except Corruption:
        raise
    except Exception as error:  # whatever bytes lead to, also in constructors
        raise Corruption(f"a message of another node makes no sense: {type(error).__name__}: {error}") from None


def _to_extension(value: Any) -> Any:
    kind = type(value)
    if kind is tuple:
        return msgpack.ExtType(_TUPLE, encode(list(value)))
    if kind is np.ndarray and value.dtype.kind in _ARRAYS:
        content = [value.dtype.str, list(value.shape), np.ascontiguousarray(value).tobytes()]
        return msgpack.ExtType(_ARRAY, encode(content))
    if isinstance(value, np.generic) and value.dtype.kind in _ARRAYS:
        return value.item()
    name = _registry.name_of(kind)
    if name is None:
        return _to_plain(value)
    if isinstance(value, enum.Enum):
        return msgpack.ExtType(_ENUM, encode([name, value.value]))
    if isinstance(value, LutraError):
        return msgpack.ExtType(_ERROR, encode([name, str(value)]))
    fields = _registry.fields_of(kind)
    return msgpack.ExtType(_OBJECT, encode([name, *(getattr(value, field) for field in fields)]))


def _to_plain(value: Any) -> Any:
    if type(value) in (set, frozenset):
        code = _SET if type(value) is set else _FROZENSET
        return msgpack.ExtType(code, encode(sorted(value, key=repr)))
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if type(value) is int:  # of more than 64 bits, as operands of queries may be
        return msgpack.ExtType(_LARGE, encode(hex(value)))
    if isinstance(value, dt.datetime):
        return msgpack.ExtType(_INSTANT, encode(value.isoformat()))
    if isinstance(value, LutraError):  # of a class that only this room knows
        return LutraError(str(value))
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} is not sent to other nodes")


def _from_extension(code: int, data: bytes) -> Any:
    made = _FROM.get(code)
    if made is None:
        raise Corruption(f"a message of another node has an extension {code}")
    return made(decode(data))


def _object(content: list[Any]) -> Any:
    known: Any = _registry.of(content[0])
    names = _registry.fields_of(known)
    if len(names) != len(content) - 1:
        raise ValueError(f"{content[0]} has {len(names)} fields")
    made = known.__new__(known)
    for name, value in zip(names, content[1:], strict=True):
        object.__setattr__(made, name, value)
    return made


def _error(content: list[Any]) -> LutraError:
    known = _registry.of(content[0])
    if not issubclass(known, LutraError):
        raise ValueError(f"{content[0]} is no error")
    made: LutraError = known.__new__(known)
    made.args = (content[1],)
    return made


def _enum(content: list[Any]) -> enum.Enum:
    known = _registry.of(content[0])
    if not issubclass(known, enum.Enum):
        raise ValueError(f"{content[0]} is no enumeration")
    return known(content[1])


def _large(digits: Any) -> int:
    return int(digits, 16)


def _instant(text: Any) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _array(content: list[Any]) -> np.ndarray[Any, Any]:
    kind = np.dtype(content[0])
    if kind.kind not in _ARRAYS:
        raise ValueError(f"arrays of {kind} are not sent")
    made: np.ndarray[Any, Any] = np.frombuffer(content[2], kind).reshape(content[1])
    return made


_FROM: Final[dict[int, Callable[[Any], Any]]] = {
    _TUPLE: tuple,
    _OBJECT: _object,
    _ENUM: _enum,
    _ARRAY: _array,
    _ERROR: _error,
    _SET: set,
    _FROZENSET: frozenset,
    _INSTANT: _instant,
    _LARGE: _large,
}
