"""Deliberate errors as a command ends with them: one line on stderr, and a status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from lutra.model.errors import DirectoryInUse, LutraError, ParameterInvalid

INTERRUPTED: Final = 130
"""The status of a command that Ctrl-C broke off."""


class InUse(click.ClickException):
    """A data directory that somebody else has open: the same status for every command that needs it."""

    exit_code = 2


class WrongOptions(click.ClickException):
    """Options that do not go with each other, or with what they are about: the same status as click gives others."""

    exit_code = 2


@contextmanager
def shown_wrong_options() -> Iterator[None]:
    """Turns a ParameterInvalid into `WrongOptions`: whoever tries again by the status is not to try that again."""
    try:
        yield
    except ParameterInvalid as error:
        raise WrongOptions(str(error)) from error


@contextmanager
def shown_failures(
    shown_as: type[click.ClickException] = click.ClickException, *, but: type[LutraError] | None = None
) -> Iterator[None]:
    """Turns a LutraError into the message of a failed command, and its status into that of ``shown_as``.

    That of a directory in use is `InUse`'s. One that is a ``but`` goes on as it is.
    """
    try:
        yield
    except LutraError as error:
        if but is not None and isinstance(error, but):
            raise
        raise (InUse if isinstance(error, DirectoryInUse) else shown_as)(str(error)) from error


@contextmanager
def missing_libraries() -> Iterator[None]:
    """A library that is optional and not there is no fault of the program: its name, and how to come by it."""
    try:
        yield
    except ImportError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        raise click.ClickException(str(error)) from error
