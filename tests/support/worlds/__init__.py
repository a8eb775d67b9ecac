"""Random indexes, and what is asked of them, as strategies of hypothesis.

Schemas, queries, sorts are drawn piece by piece, so that what fails is made small. Rows come from a seed, because there
are many values in them.
"""
