"""Which rows of a part count, a bit each (``native/distance/row_mask.*``): from a filter's condition down to a walk.

`RowMask` is the native class itself: masks are made and combined a dozen times a search, and never change, so a view, a
cache and a search may share one. All that combine are of as many rows, else they raise ValueError; a row that is none
of a mask's raises IndexError. Rows are integers of any type of 32 or 64 bits, or unsigned of 8 or 16.

=============================  =========================================================================================
``RowMask(counts)``            of bool [rows], C-contiguous
``all(rows)``, ``none(rows)``  every row counts, or none
``of_bits(bits, rows)``        of uint8 [rows / 8, rounded up]: row i is bit i % 8 of byte i // 8, as numpy's ``little``
``of_rows(ids, rows)``         those of ``ids``, in any order, count
``at_least(n, masks, rows)``   rows that count in n of ``masks`` or more
``a & b``, ``a | b``, ``-``    in both, in either, in the first alone
``plus(ids)``, ``minus(ids)``  the same with or without ``ids``
``extended(more)``             so many more rows behind, which count
``turned(ids)``                a mask of len(ids) rows, of which row i counts where ``ids[i]`` does here
``gathered(ids, rows)``        a mask of ``rows`` rows, of which those count that ``ids[i]`` names for a row i here
``rows``, ``count``            how many there are, and how many count
``ids()``                      int64 [count], ascending
``first(most, descending)``    int64, the first of these, or the last ones, last first
``sample(most)``               int64, at most so many of them, from stretches of rows evenly apart
``has(ids)``                   bool [len(ids)]: whether each counts
``bools()``                    bool [rows]
=============================  =========================================================================================
"""

from lutra.kernels._native import RowMask

__all__ = ["RowMask"]
