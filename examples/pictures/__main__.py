"""``python -m examples.pictures``: fills a table from a folder of pictures, and serves the page that asks it."""

from __future__ import annotations

import json
import logging
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import lutra
from examples.pictures.collection import NoPictures
from examples.pictures.filling import Filling, fill
from examples.pictures.gallery import Gallery
from examples.pictures.measuring import measure
from examples.pictures.pages import Pages
from examples.shared.debian import PackageUnavailable, package_root

PACKAGE: Final = "tuxpaint-stamps-default"
STAMPS: Final = "usr/share/tuxpaint/stamps"
_KEPT_FILES: Final = (".png", ".svg", ".txt", "copyright")
_REFUSED_SHOWN: Final = 20


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("pictures-data"),
    show_default=True,
    help="Where the table is kept; made where there is none.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Pictures of your own, with captions in text files beside them. Else Debian's package {PACKAGE}.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0 takes a free one.")
@click.option("--measure", "is_measured", is_flag=True, help="Measure how well pictures are found, and end.")
@click.option("--json", "is_json", is_flag=True, help="Print what was done as JSON, and end.")
def main(data: Path, folder: Path | None, port: int, is_measured: bool, is_json: bool) -> None:
    """Search in a collection of pictures by words in any language, by a picture, or by both.

    The first run looks at all pictures; later ones only at what has changed. Then a page is served to this machine.

    \b
    Examples:
      python -m examples.pictures
      python -m examples.pictures --folder ~/Pictures --data my-pictures
      python -m examples.pictures --measure --json
    """
    logging.basicConfig(level=logging.WARNING)
    console = Console(stderr=True, highlight=False)
    try:
        chosen = folder or package_root(PACKAGE, STAMPS, data / "packages", _KEPT_FILES, console.print) / STAMPS
        with lutra.connect(data / "lutra") as database:
            gallery = Gallery(database)
            filling = _filled(gallery, chosen, console)
            _tell(filling, console)
            if is_measured or is_json:
                done: dict[str, Any] = {"filling": _as_json(filling)}
                if is_measured:
                    done |= measure(gallery)
                done["memory_mb_max"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(json.dumps(done, ensure_ascii=False, indent=2) if is_json else _as_table(done))
                return
            Pages(gallery).site().serve(port, lambda address: print(f"Ctrl+C ends. Open {address}", flush=True))
    except (NoPictures, PackageUnavailable, lutra.LutraError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _filled(gallery: Gallery, folder: Path, console: Console) -> Filling:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Looking at pictures", total=None)
        return fill(gallery, folder, lambda done, total: progress.update(task, completed=done, total=total))


def _tell(filling: Filling, console: Console) -> None:
    for path, reason in filling.refused[:_REFUSED_SHOWN]:
        console.print(f"left out {path}: {reason}", markup=False)
    if len(filling.refused) > _REFUSED_SHOWN:
        console.print(f"left out {len(filling.refused) - _REFUSED_SHOWN:,} more")
    console.print(
        f"{filling.pictures:,} pictures: {filling.written:,} written, {filling.unchanged:,} unchanged, "
        f"{filling.deleted:,} deleted, {len(filling.refused):,} left out; "
        f"{filling.took_s:.1f} s, {filling.rows_per_s:.0f} rows/s"
    )


def _as_json(filling: Filling) -> dict[str, Any]:
    return asdict(filling) | {"rows_per_s": round(filling.rows_per_s, 1), "took_s": round(filling.took_s, 1)}


def _as_table(done: dict[str, Any]) -> str:
    lines = [f"{'asked by':<48} {'questions':>9} {'@1':>6} {'@5':>6}"]
    named = [(f"picture: {name}", rate) for name, rate in done["by_picture"].items()]
    for name, rate in [*named, *done["by_words"].items()]:
        lines.append(f"{name:<48} {rate['questions']:>9,} {rate['at_1']:>6.1%} {rate['at_5']:>6.1%}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
