"""A new access key, as a first start shows it."""

from __future__ import annotations

import os
import sys

import click


def show_new_key(key_id: str, secret: str, stored_in: object) -> None:
    """To stderr: what is printed there is not taken for what a command answers. No secret goes into the journal."""
    if is_journal():
        click.echo(f"New access key, stored in {stored_in}.", err=True)
        return
    click.echo(
        f"New access key, shown this once and stored in {stored_in}:\n"
        f"  access key id      {key_id}\n"
        f"  access key secret  {secret}",
        err=True,
    )


def is_journal() -> bool:
    """Whether systemd keeps what goes to stderr: it names that stream in the environment, which others inherit."""
    said = os.environ.get("JOURNAL_STREAM")
    if not said:
        return False
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # there is none
        return False
    return said == f"{status.st_dev}:{status.st_ino}"
