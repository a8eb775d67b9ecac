"""Lutra beside what people use today, over the wire, in one run: ``python -m bench.peers``."""
