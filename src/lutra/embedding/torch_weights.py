"""Reads the tensors of a file that PyTorch wrote, without PyTorch and without running what the file says.

The layout is that of ``torch.save`` before version 1.6: five pickles (a magic number, the layout's version, facts of
the machine, the tensors by name, the names of their storages), then each storage as an int64 count of its numbers and
the numbers (``torch/serialization.py``, ``_legacy_load``). A pickle can name any function of any module to be called;
here it can name the four that a dictionary of tensors needs.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.model.errors import Corruption

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_LAYOUT: Final = 1001
_COUNT: Final = struct.Struct("<q")


def read_torch_weights(content: bytes) -> dict[str, npt.NDArray[np.generic]]:
    """The tensors in ``content``, by name: float32 or int64 arrays of any shape. Raises Corruption."""
    file = io.BytesIO(content)
    storages: dict[str, _Storage] = {}
    try:
        if _Tensors(file, storages).load() != _MAGIC or _Tensors(file, storages).load() != _LAYOUT:
            raise Corruption("the weights are not in the layout of PyTorch before 1.6")
        if not _Tensors(file, storages).load()["little_endian"]:
            raise Corruption("the weights were written on a big-endian machine")
        tensors = _Tensors(file, storages).load()
        for key in _Tensors(file, storages).load():
            storages[key].numbers = _numbers(file, storages[key])
        return {str(name): tensor.array() for name, tensor in tensors.items()}
    except Corruption:
        raise
    except Exception as error:  # a damaged pickle raises anything
        raise Corruption(f"the weights cannot be read: {type(error).__name__}: {error}") from error


@dataclass(slots=True)
class _Storage:
    dtype: np.dtype[np.generic]
    count: int
    numbers: npt.NDArray[np.generic] | None = None


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> npt.NDArray[np.generic]:
        numbers = self.storage.numbers
        if numbers is None or len(self.shape) != len(self.strides):
            raise Corruption("a tensor of the weights has no numbers")
        if self.offset < 0 or any(length < 1 for length in self.shape) or any(stride < 0 for stride in self.strides):
            raise Corruption("a tensor of the weights has an impossible shape")
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        if last >= len(numbers):  # as_strided itself would read beyond them
            raise Corruption("a tensor of the weights reaches beyond its numbers")
        steps = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps).copy()


class _Tensors(pickle.Unpickler):
    """An unpickler to which a file can name nothing but tensors."""

    def __init__(self, file: io.BytesIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> object:
        try:
            return _NAMEABLE[module, name]
        except KeyError:
            raise Corruption(f"the weights name {module}.{name}, which tensors do not need") from None

    def persistent_load(self, reference: tuple[str, np.dtype[np.generic], str, str, int, object]) -> _Storage:
        kind, dtype, key, _device, count, view = reference
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype) or count < 0:
            raise Corruption(f"the weights refer to a {kind!r}, which is not read here")
        return self._storages.setdefault(key, _Storage(dtype, count))


def _tensor(
    storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_training: object
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_NAMEABLE: Final[Mapping[tuple[str, str], Callable[..., object] | np.dtype[np.generic]]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


def _numbers(file: io.BytesIO, storage: _Storage) -> npt.NDArray[np.generic]:
    (count,) = _COUNT.unpack(file.read(_COUNT.size))
    if count != storage.count:
        raise Corruption(f"a storage of the weights has {count} numbers, not {storage.count}")
    return np.frombuffer(file.read(count * storage.dtype.itemsize), dtype=storage.dtype, count=count)
