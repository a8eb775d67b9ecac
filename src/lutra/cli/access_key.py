"""A new access key, as a first start shows it."""

from __future__ import annotations

import click


def show_new_key(key_id: str, secret: str, stored_in: object) -> None:
    """To stderr: what is printed there is not taken for what a command answers."""
    click.echo(
        f"New access key, shown this once and stored in {stored_in}:\n"
        f"  access key id      {key_id}\n"
        f"  access key secret  {secret}",
        err=True,
    )
