"""Sums, extremes and counts of values by group, and the numbering of keys (``native/aggregate/``).

``groups`` (int32, contiguous) are those that values belong to, from 0 to ``count`` - 1; None: all to group 0. Sums come
out the same in any order but for the last bit. Raises IndexError for a group that is none of these. The GIL is
released: the caller keeps the arrays unchanged meanwhile.

=========================================  ============================================================================
``double_sums(values, groups, count)``     (sums, rests), float64[count]: a sum is both together, or the first alone
                                           where that is not finite; rests are what rounding cut off
``long_sums(values, groups, count)``       (highs, lows), int64[count] and uint64[count]: numbers of 128 bits
``extremes(values, groups, count)``        (least, most) of float64 or int64; of no values the ends of the type, the
                                           greatest first
``group_counts(groups, count)``            int64[count]
``number_keys(keys)``                      (numbers, distinct): int64 keys as int32, in the order in which they first
                                           come, and the key of each number
=========================================  ============================================================================
"""

from lutra.kernels._native import double_sums, extremes, group_counts, long_sums, number_keys

__all__ = ["double_sums", "extremes", "group_counts", "long_sums", "number_keys"]
