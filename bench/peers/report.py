"""The page of what `bench.peers` has measured, with its tables and plots: docs/peers.md.

  python -m bench.peers.report docs/peers/50k-128.json
  python -m bench.peers.report a.json b.json --page page.md --plots plots

Each file is a list of points, a data set is a section. All figures and all that is said of who is ahead come from the
files; so the page is made anew, not written.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.peers import plots, report_tables
from bench.peers.names import PEERS
from bench.peers.peer import DOORS
from bench.peers.points import read
from bench.peers.report_tables import Figures

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "peers.md"
PLOTS: Final = ROOT / "docs" / "plots"
_INTRODUCTION: Final = """# Beside other systems

Lutra and what people use today, in one run on one machine: the same rows, the same queries, the same recall. The page
is made by `python -m bench.peers.report` from what `python -m bench.peers` measured; where Lutra loses stands in the
column **behind**.

## How it was measured
- **Same recall.** Each system has the first of its settings that reaches .9, .95 and .99 of the true ten nearest; among
  some rows .95. Figures in brackets did not get there by any setting, and say how far they got. Graphs (HNSW) have
  M = 16 and 200 candidates while they are built, everywhere; Lutra is told the recall, and has nothing else to set.
- **How it is asked.** Clients are processes with one connection each (threads, in process), in Python, on the same
  cores as what they ask.

| | |
|---|---|
{doors}

- The official SDK is written in Python and takes about as much of a processor for a search as Lutra's server.
  `lutra-prepared` sends what the SDK has signed beforehand, and so has a client as light as hosted libraries have.
- **Memory** is the proportional set size of all processes of a system, seen from outside, after its searches. Pages of
  mapped files are in it; the kernel's cache of files that are read is not. **Disk** is what rows and indexes take.
- **Loading** is until the last row is acknowledged, **building** until nothing is left to build. Lutra finds rows at
  once, and waits a minute before it writes the newest into a segment: that minute is in its seconds, not in its
  processor seconds. Lutra and PostgreSQL have a row on stable storage when they acknowledge it; Redis, FalkorDB and
  Lucene have it in memory then, and libraries write it when they are told to.
- **Filters** pass a tenth, a hundredth and a thousandth of the rows: by *chance*, or *correlated*: those nearest to one
  place, while queries come from everywhere, so that most are far from what passes.
- **A writer** sends new rows, 50 at a time, to what is searched. Recall then counts rows that are not farther than the
  tenth of those that were loaded.
- **Works in**: the least private memory of a process (``ulimit -d``) with which it starts and finds as much as before,
  where that was tried (`--memory-floor`).
- **Not here**: {missing}.

"""
_SECTION: Final = """## {title}
{rows:,} rows of {dim} dimensions. Generators are those of `bench.ann`; the intrinsic dimension is the median over
queries, by maximum likelihood from 100 neighbours. Load average while it was measured: {quiet:.1f} to {busy:.1f} on
{cores} cores. {conditions}

{commands}

![Recall and queries a second]({plots}/{stem}-recall.png)

### Where Lutra is ahead, and where behind
Over the wire, beside servers and hosted libraries: × 2 is twice as good, × 0.5 half as good. Within a tenth is level.

{verdicts}

{inside}### All rows, at recall .95
{searches}

![Memory and queries a second]({plots}/{stem}-memory.png)

### At each recall
{recalls}

### Among some rows
Queries/s at recall .95 of {filter_clients} clients.

{filters}

### Beside a writer
{written}

### Loading, building, starting
{loads}

![Processor time of loading and building]({plots}/{stem}-build.png)
"""
_INSIDE: Final = """In the process, beside embedded databases:

{verdicts}

"""
_BUSY: Final = (
    "**The machine had other work, and not always as much**: queries/s, latencies and seconds of one system cannot be "
    "held against another's here, and are not: only recall, memory, disk and, by and large, processor time are."
)


def page(files: Sequence[Path], folder: str) -> str:
    """Markdown of the whole page; ``folder``: of the plots, from the page."""
    sets = list(data_sets(files))
    measured = {engine for _, of in sets for engine in of.engines}
    missing = [name for name in PEERS if name not in measured]
    doors = "\n".join(f"| {door} | {what} |" for door, what in DOORS.items())
    head = _INTRODUCTION.format(doors=doors, missing=", ".join(missing) or "nothing, all were measured")
    return head + "\n".join(_section(stem, of, folder) for stem, of in sets)


def data_sets(files: Sequence[Path]) -> Iterator[tuple[str, Figures]]:
    """What pictures of each are called, and its points."""
    for path in files:
        points = read(path)
        for number, title in enumerate(dict.fromkeys(point.loaded.data for point in points), 1):
            stem = path.stem if number == 1 else f"{path.stem}-{number}"
            yield stem, Figures([point for point in points if point.loaded.data == title])


def _section(stem: str, of: Figures, folder: str) -> str:
    loaded = of.points[0].loaded
    loads = [point.load_average for point in of.points]
    commands = dict.fromkeys(point.command for point in of.points)
    cores = of.points[0].cores
    inside = "lutra-embedded" in of.engines
    return _SECTION.format(
        title=loaded.data,
        rows=loaded.rows,
        dim=loaded.dim,
        quiet=min(loads),
        busy=max(loads),
        cores=cores,
        conditions=_BUSY if of.is_busy else "",
        commands="\n\n".join(f"```\n{command}\n```" for command in commands),
        plots=folder,
        stem=stem,
        verdicts=report_tables.verdicts(of, "lutra") if "lutra" in of.engines else "Lutra was not measured.",
        inside=_INSIDE.format(verdicts=report_tables.verdicts(of, "lutra-embedded")) if inside else "",
        searches=report_tables.searches(of),
        recalls=report_tables.recalls(of),
        filter_clients=report_tables.filter_clients(of),
        filters=report_tables.filters(of),
        written=report_tables.written(of),
        loads=report_tables.loads(of),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="points, as --json of bench.peers wrote")
    parser.add_argument("--page", type=Path, default=PAGE, help="[docs/peers.md]")
    parser.add_argument("--plots", type=Path, default=PLOTS, help="folder of the pictures [docs/plots]")
    arguments = parser.parse_args()
    folder = os.path.relpath(arguments.plots, arguments.page.parent)
    arguments.page.write_text(page(arguments.files, folder))
    print(f"wrote {arguments.page}")
    for stem, of in data_sets(arguments.files):
        for picture in plots.plot(of, arguments.plots, stem):
            print(f"wrote {picture}")


if __name__ == "__main__":
    main()
