"""What Lutra's roles are called in Ray: resources that a machine offers, and that tasks and actors take one of."""

from __future__ import annotations

from typing import Final

BUILDER: Final = "lutra_builder"
"""For builds of any size; a machine offers as many as it does at once."""
QUICK_BUILDER: Final = "lutra_quick_builder"
"""For builds that need little memory (`lutra.index.builds.builder.QUICK_BYTES`): they never wait for large ones."""
NODE: Final = "lutra_node"
"""For nodes of a cluster (`lutra.cluster.ray_nodes`); a machine offers as many as it is to run."""
