"""Ctrl-C at a given instant: after the n-th step of a call after which the interpreter looks for such things.

CPython hands on what came from outside (signals, `PyThreadState_SetAsyncExc`) where a function begins, after a call
and where a loop jumps back, not between any two bytecodes. A trace by opcode raises at exactly those places.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

_LOOKED_FOR_AFTER = {"RESUME", "CALL", "CALL_FUNCTION_EX"}


class Interrupted(KeyboardInterrupt):
    """Came from outside."""


class InterruptAt:
    """Runs a call in which `Interrupted` comes at the ``number``-th place, from 1. ``has_come``: whether there was one.

    Counts places in the modules whose names ``within`` accepts.
    """

    def __init__(self, number: int, within: Callable[[str], bool]) -> None:
        self._left = number
        self._within = within
        self._after: dict[CodeType, set[int]] = {}
        self.has_come = False

    def run(self, call: Callable[[], object]) -> None:
        sys.settrace(self._enter)
        try:
            call()
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if self.has_come or not self._within(frame.f_globals.get("__name__", "")):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode" and not self.has_come and frame.f_lasti in self._places(frame.f_code):
            self._left -= 1
            if self._left == 0:
                self.has_come = True
                raise Interrupted
        return self._step

    def _places(self, code: CodeType) -> set[int]:
        """Offsets of the instructions that are come to from one after which is looked."""
        places = self._after.get(code)
        if places is None:
            instructions = list(dis.get_instructions(code))
            places = self._after[code] = set()
            for instruction, following in pairwise(instructions):
                if instruction.opname in _LOOKED_FOR_AFTER:
                    places.add(following.offset)
                elif instruction.opname == "JUMP_BACKWARD":
                    places.add(instruction.argval)
        return places
