"""Writes the tables of docs/operations.md, which operations are served: ``python -m tools.operations_table``.

They follow from `lutra.server.protocol.operations`. A test compares them with what stands there, and looks that every
operation that the official SDK calls is among them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lutra.server.protocol.operations import JSON_UNSERVED, OPERATIONS, UNSERVED

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "operations.md"
_MARK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

GROUPS: Final[dict[str, str]] = {
    "Tables": r"(Create|List|Describe|Update|Delete)Table|(Add|Delete)DefinedColumn|ComputeSplitPointsBySize",
    "Rows": r"(Get|Put|Update|Delete|BatchWrite|BatchGet)Row|GetRange",
    "Search indexes": r"(Create|Describe|List|Update|Delete)SearchIndex|Search|ComputeSplits|ParallelScan",
    "Secondary indexes": r"(Create|Drop)Index",
    "Local transactions": r"StartLocalTransaction|CommitTransaction|AbortTransaction",
    "Streams": r"(List|Describe)Stream|GetShardIterator|GetStreamRecord",
    "Bulk": r"Bulk(Import|Export)",
    "Timeseries": r"\w*Timeseries\w*",
    "SQL": r"SQLQuery",
    "Tunnels": r"tunnel/\w+",
    "Delivery": r"\w+DeliveryTask",
    "Global tables": r"\w*GlobalTable|(Load|Unload)Table",
    "Memory stores": r"\w*(Memory|Memories)\w*",
    "Knowledge bases": r"\w*KnowledgeBase|\w+Documents?|Retrieve|\w+Chunks",
}
"""Which operations each heading has: the first whose pattern matches."""

PARTLY: Final[dict[str, str]] = {
    "CreateTable": "server-side encryption is refused (encrypt the disk); reserved throughput and split points are "
    "told again and change nothing on one server",
    "ListTimeseriesTable": "an empty list: there are no timeseries",
    "CreateSearchIndex": "`enable_custom_column_version`, and `disable_default_pk_sorter` in the sort of an index, are "
    "refused; routing fields make no difference",
    "Search": "`text_similarity` SHORT_TEXT, and a token with `collapse`, are refused",
    "ParallelScan": "neighbours and RETURN_ALL are refused",
}
"""Of served operations: what of them is not."""


def written(page: str) -> str:
    """``page`` with the tables as they follow from the code."""
    tables = {"counts": counts(), "operations": operations()}
    return _MARK.sub(lambda match: f"{match[1]}{tables[match[2]]}\n{match[3]}", page)


def names() -> list[str]:
    """All operations of the protocol: those served in their order, then the others by name."""
    return [*OPERATIONS, *sorted(UNSERVED | JSON_UNSERVED)]


def group_of(name: str) -> str:
    """The heading that an operation stands under. Raises LookupError for one that fits none."""
    for group, pattern in GROUPS.items():
        if re.fullmatch(pattern, name):
            return group
    raise LookupError(f"no group of tools/operations_table.py takes {name}")


def counts() -> str:
    served, not_served = len(OPERATIONS) - len(PARTLY), len(UNSERVED | JSON_UNSERVED)
    return f"Of {len(names())} operations {served} are served, {len(PARTLY)} partly, {not_served} not."


def operations() -> str:
    """A table by group: a line for each that is served, and one for all others of the group."""
    lines = ["| | operation | | |", "|---|---|---|---|"]
    for group in GROUPS:
        members = [name for name in names() if group_of(name) == group]
        shown = [name for name in members if name in OPERATIONS]
        for name in shown:
            heading = f"**{group}**" if name == shown[0] else ""
            state = "partly" if name in PARTLY else "served"
            lines.append(f"| {heading} | `{name}` | {state} | {PARTLY.get(name, '')} |")
        if others := [name for name in members if name not in OPERATIONS]:
            heading = "" if shown else f"**{group}**"
            lines.append(f"| {heading} | {', '.join(f'`{name}`' for name in others)} | not served | |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
