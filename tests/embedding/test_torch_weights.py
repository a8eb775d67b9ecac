"""PyTorch's files of tensors are read, and run nothing."""

from __future__ import annotations

import pickle
import struct
from typing import Any

import numpy as np
import pytest

from lutra.embedding.torch_weights import read_torch_weights
from lutra.model.errors import Corruption

MAGIC = 0x1950A86A20F9469CFC6C


def saved(numbers: np.ndarray[Any, Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """A file of one tensor, "a", over a storage of ``numbers``, as torch.save writes it."""
    kind = "LongStorage" if numbers.dtype == np.int64 else "FloatStorage"
    storage = f"(S'storage'\nctorch\n{kind}\nS'0'\nS'cpu'\nI{len(numbers)}\nNtQ"
    tuples = "".join("(" + "".join(f"I{value}\n" for value in values) + "t" for values in (shape, strides))
    tensor = f"ctorch._utils\n_rebuild_tensor_v2\n({storage}I{offset}\n{tuples}I00\nccollections\nOrderedDict\n(tRtR"
    state = f"ccollections\nOrderedDict\n(tRS'a'\n{tensor}s."
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    heads = [pickle.dumps(value, 2) for value in (MAGIC, 1001, facts)]
    return b"".join(
        [*heads, state.encode(), pickle.dumps(["0"], 2), struct.pack("<q", len(numbers)), numbers.tobytes()]
    )


NUMBERS = np.arange(12, dtype=np.float32)


def test_a_tensor() -> None:
    np.testing.assert_array_equal(read_torch_weights(saved(NUMBERS, 0, (3, 4), (4, 1)))["a"], NUMBERS.reshape(3, 4))


def test_a_view_of_its_storage() -> None:
    """Columns before rows, from the second number on."""
    tensor = read_torch_weights(saved(NUMBERS, 1, (2, 3), (1, 2)))["a"]
    np.testing.assert_array_equal(tensor, [[1, 3, 5], [2, 4, 6]])
    assert tensor.flags.c_contiguous


def test_a_single_number() -> None:
    tensor = read_torch_weights(saved(np.array([7], dtype=np.int64), 0, (), ()))["a"]
    assert tensor.shape == ()
    assert tensor == 7


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (13,), (1,)), (11, (2,), (1,)), (0, (2, 2), (1, 11)), (-1, (2,), (1,)), (0, (3,), (-1,)), (0, (2, 2), (1,))],
)
def test_a_tensor_beyond_its_numbers(offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    with pytest.raises(Corruption, match="a tensor of the weights"):
        read_torch_weights(saved(NUMBERS, offset, shape, strides))


@pytest.mark.parametrize("named", ["os\nsystem", "builtins\neval", "torch._utils\n_rebuild_parameter", "numpy\nsave"])
def test_nothing_else_can_be_named(named: str) -> None:
    call = f"c{named}\n(S'true'\ntR.".encode()
    facts = {"little_endian": True}
    for position in range(4):
        heads = [pickle.dumps(value, 2) for value in (MAGIC, 1001, facts)][:position]
        with pytest.raises(Corruption, match="which tensors do not need"):
            read_torch_weights(b"".join(heads) + call)


def test_any_beginning_of_a_file_is_no_file() -> None:
    whole = saved(NUMBERS, 0, (12,), (1,))
    for length in range(len(whole)):
        with pytest.raises(Corruption):
            read_torch_weights(whole[:length])


def test_another_layout() -> None:
    for values in ((7, 1001), (MAGIC, 1002)):
        with pytest.raises(Corruption, match="not in the layout"):
            read_torch_weights(b"".join(pickle.dumps(value, 2) for value in values))
