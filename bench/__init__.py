"""Benchmarks. ``python -m bench`` runs the quick ones; each module runs alone with ``--help``."""
