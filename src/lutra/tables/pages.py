"""A page of a range that is read in several places, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PageSoFar:
    """What the places before have brought to a page: ``rows`` of the answer, of ``seen`` ones that were looked at.

    ``seen_bytes`` of these as they are stored, ``read_bytes`` as capacity units count them.
    """

    rows: int = 0
    seen: int = 0
    seen_bytes: int = 0
    read_bytes: int = 0


NEW_PAGE: Final = PageSoFar()
