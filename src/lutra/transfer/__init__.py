"""Rows from files into tables and back: CSV, JSON lines, Parquet. `lutra import` and `lutra export` are made of it."""
