"""Checks of every byte of a segment: what is damaged, and where."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lutra.fields.sections import Section, SectionKind
from lutra.fields.vector_meta import vectors_meta
from lutra.kernels.blocks import BlockCache
from lutra.kernels.checksum import crc32c_blocks
from lutra.model.errors import Corruption
from lutra.objects.store import ObjectStore
from lutra.scalars.pages import PAGE_BYTES, PAYLOAD_BYTES
from lutra.segments.fault import Fault
from lutra.segments.footer import footer_size
from lutra.segments.segment_object import SegmentObject
from lutra.vectors.segment_file import Progress, SegmentFile

_CACHE_BYTES = 256 * 1024
"""For nothing: what is checked is read past the cache."""
_SWEEP_BYTES = 4 * 1024 * 1024
FOOTER = "footer"


def verify_segment(
    store: ObjectStore, name: str, progress: Progress | None = None, *, size_bytes: int | None = None
) -> list[Fault]:
    """The faults of object ``name``, in the order they lie in. It need not be one that can be opened.

    Raises ObjectMissing where it is not there, StorageFailure where it cannot be read or is of a newer Lutra.
    """
    cache = BlockCache(_CACHE_BYTES)
    try:
        obj = SegmentObject(store, name, cache, size_bytes=size_bytes)
        try:
            return verify_object(obj, progress)
        finally:
            obj.close()
    finally:
        cache.close()


def verify_object(obj: SegmentObject, progress: Progress | None = None) -> list[Fault]:
    """As `verify_segment`, of an object that is open. ``progress``: called with bytes done and bytes in all."""
    try:
        meta = obj.read_meta()
    except Corruption as error:
        footer_bytes = _footer_bytes(obj)
        return [_fault(FOOTER, obj.size_bytes - footer_bytes, footer_bytes, error, obj.name)]
    finally:
        obj.forget()
    faults: list[Fault] = []
    for section in meta.sections:
        if section.kind is SectionKind.VECTORS:
            faults += _vector_faults(obj, section)
        else:
            faults += _stream_faults(obj, section)
        if progress is not None:
            progress(section.end, obj.size_bytes)
    if progress is not None:
        progress(obj.size_bytes, obj.size_bytes)
    return faults


def _stream_faults(obj: SegmentObject, section: Section) -> Iterator[Fault]:
    for begin in range(section.offset, section.end, _SWEEP_BYTES):
        pages = obj.read(begin, min(_SWEEP_BYTES, section.end - begin)).reshape(-1, PAGE_BYTES)
        found = crc32c_blocks(pages.reshape(-1), PAGE_BYTES, PAYLOAD_BYTES)
        wrong = np.flatnonzero(found != np.ascontiguousarray(pages[:, PAYLOAD_BYTES:]).view("<u4")[:, 0])
        for page in wrong.tolist():
            offset = begin + page * PAGE_BYTES
            yield Fault(section.name, (offset - section.offset) // PAGE_BYTES, offset, PAGE_BYTES)


def _vector_faults(obj: SegmentObject, section: Section) -> list[Fault]:
    try:
        faults = SegmentFile.check(obj.part(section))
    except Corruption as error:
        footer_bytes = vectors_meta(section).bytes[FOOTER]
        reader = obj.part(section).name
        return [_fault(f"{section.name}/{FOOTER}", section.end - footer_bytes, footer_bytes, error, reader)]
    return [
        Fault(f"{section.name}/{fault.section}", fault.block, section.offset + fault.offset, fault.size_bytes)
        for fault in faults
    ]


def _footer_bytes(obj: SegmentObject) -> int:
    """Of the object's footer; where that cannot be told, of the page in which it says so."""
    tail = obj.read(max(0, obj.size_bytes - PAGE_BYTES), min(PAGE_BYTES, obj.size_bytes)).tobytes()
    try:
        return footer_size(tail, obj.size_bytes, obj.name)
    except Corruption:
        return len(tail)


def _fault(section: str, offset: int, size_bytes: int, error: Corruption, reader: str) -> Fault:
    """Of a footer. Its error names what was read, and where in that: the fault says so for the whole object."""
    text = str(error).removeprefix(f"{reader}: ").removesuffix(".")
    return Fault(section, 0, offset, size_bytes, "fails its checksum" if text.startswith("section 'footer'") else text)
