"""Rows over keys: tables, versions, conditions, filters, expiry, and the log of what changed.

`space.TableSpace` opens the tables of a store; `tables.Tables` are those of one instance.
"""
