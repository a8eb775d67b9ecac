"""What builders are called in Ray: resources that a node offers, and that tasks take one of."""

from __future__ import annotations

from typing import Final

BUILDER: Final = "lutra_builder"
"""For builds of any size; a node offers as many as it does at once."""
QUICK_BUILDER: Final = "lutra_quick_builder"
"""For builds that need little memory (`lutra.index.builds.builder.QUICK_BYTES`): they never wait for large ones."""
