"""Lutra as a service beside pgvector: ``python -m bench.service``."""
