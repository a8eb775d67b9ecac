"""Nearest-neighbour search against its peers, in one run. See ``python -m bench.ann --help``."""
