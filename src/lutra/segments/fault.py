"""Damage to a segment, by its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes of an object that fail their checksum, or make no sense where ``text`` says so."""

    section: str
    """Its name; of a vector segment's, with a slash between: ``vectors of v/codes``."""
    block: int
    """In the section."""
    offset: int
    """In the object."""
    size_bytes: int
    text: str = "fails its checksum"

    def __str__(self) -> str:
        end = self.offset + self.size_bytes
        return f"section '{self.section}', block {self.block} (bytes {self.offset} to {end}): {self.text}."
