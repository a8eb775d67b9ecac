"""Deliberate errors as a command ends with them: one line on stderr, status 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from lutra.model.errors import LutraError


@contextmanager
def shown_failures() -> Iterator[None]:
    """Turns a LutraError into the message and status of a failed command."""
    try:
        yield
    except LutraError as error:
        raise click.ClickException(str(error)) from error
