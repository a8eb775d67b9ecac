"""Searches by the name of an index that is re-indexed: which of the two answers, and what their tokens begin with, so
that the next page comes from there, too."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from dataclasses import replace
from typing import Final

from lutra.model.errors import ParameterInvalid
from lutra.model.queries import SearchRequest

_MARK: Final = b"\xf0"
"""Before a token of an index that answered by another's name: eight bytes say which it is."""
_WHICH_BYTES: Final = 8


class Turns:
    """Of any number of names. Thread-safe."""

    def __init__(self) -> None:
        self._turns: dict[Hashable, itertools.count[int]] = {}

    def is_others(self, name: Hashable, weight: int) -> bool:
        """Whether the next search by a name goes to the other index, as ``weight`` of each hundred do.

        Each hundred searches in turn, and these spread evenly.
        """
        turn = next(self._turns.setdefault(name, itertools.count()))
        return (turn + 1) * weight // 100 > turn * weight // 100


def mark_of(which: int) -> bytes:
    """What tokens of an index begin with that answers by another's name."""
    return _MARK + which.to_bytes(_WHICH_BYTES, "big")


def which_of(token: bytes | None) -> int | None:
    """Of which index a token says that it is; None where it says nothing of that."""
    if token is None or not token.startswith(_MARK):
        return None
    return int.from_bytes(token[len(_MARK) : len(_MARK) + _WHICH_BYTES], "big")


def without_mark(request: SearchRequest) -> SearchRequest:
    """The request as the index takes it that its token is of."""
    token = request.token
    if token is None or not token.startswith(_MARK):
        return request
    return replace(request, token=token[len(_MARK) + _WHICH_BYTES :])


def gone() -> ParameterInvalid:
    """What to raise where there is no such index any more."""
    return ParameterInvalid("[token] is of an index that is there no more: search again from the beginning")
