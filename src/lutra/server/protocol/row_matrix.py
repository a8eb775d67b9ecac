"""Rows as SimpleRowMatrix: the wire's encoding in which a block names its columns once, and every row has all of them.

It holds the newest version of each cell, without timestamps, and a null where a row has no such column. So it suits
rows that are alike. Rows that are not would be mostly nulls, without bound: `rows_that_fit` says how many of them may
go into one block. Source: the official Java SDK, which reads it, as Go's does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lutra.kernels.plainbuffer import encode_row_matrix
from lutra.model.rows import Row

NULLS_MAX: Final = 4 * 1024 * 1024
"""Of a block. A null takes a byte, so that a block takes no more room for nulls than a page of rows may have."""


def rows_that_fit(rows: Sequence[Row], columns: Sequence[str] = ()) -> int:
    """How many of ``rows``, from the first on, may go into one block: at least one, where there is one.

    ``columns`` are those asked for, none for all.
    """
    names = set(columns)
    cells = 0
    for count, row in enumerate(rows):
        names.update(cell[0] for cell in row.cells)
        cells += len(row.cells)
        if count and (count + 1) * len(names) - cells > NULLS_MAX:
            return count
    return len(rows)


def encode_matrix(key_names: Sequence[str], rows: Sequence[Row], columns: Sequence[str] = ()) -> bytes:
    """One block of ``rows``, which have the key columns ``key_names``; also of no rows.

    Where ``columns`` are asked for the block has these, in their order, whether or not a row does: readers expect the
    same columns in each block. Else it has what the rows have, by name.
    """
    wanted = [name for name in dict.fromkeys(columns) if name not in key_names]
    known = set(wanted)
    beside = {cell[0] for row in rows for cell in row.cells if cell[0] not in known}
    return encode_row_matrix(key_names, [*wanted, *sorted(beside)], [(row.key, row.cells) for row in rows])
