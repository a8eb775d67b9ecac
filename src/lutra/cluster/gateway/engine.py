"""All instances of a cluster: what `lutra.instance.engine.Engine` is to one machine."""

from __future__ import annotations

from lutra.cluster import map_changes
from lutra.cluster.gateway.instance import GatewayInstance
from lutra.cluster.gateway.names import Names
from lutra.cluster.gateway.router import Router
from lutra.cluster.gateway.schema_changes import Nudge, SchemaChanges
from lutra.model.clock import Clock, SystemClock


class GatewayEngine:
    """Of one node; every node has one, and any answers any request. Thread-safe. Holds nothing that is to be closed."""

    def __init__(self, router: Router, nudge: Nudge, clock: Clock | None = None) -> None:
        """``nudge``: as `lutra.cluster.gateway.schema_changes.Nudge` says."""
        self.router = router
        """To look at."""
        self._names = Names(router.maps)
        self._changes = SchemaChanges(router, clock or SystemClock(), nudge)
        self._instances: dict[str, GatewayInstance] = {}

    def create_instance(self, name: str) -> None:
        """Raises ParameterInvalid, ObjectAlreadyExist, StorageFailure."""
        self._changes.change(lambda of: map_changes.create_instance(of, name))

    def instance_names(self) -> list[str]:
        """The names of all instances, sorted, as the map is now."""
        return sorted(self.router.maps.read().instances)

    def instance(self, name: str) -> GatewayInstance:
        """The instance of that name. Raises ObjectNotExist."""
        if not self.router.maps.known.has_instance(name):
            self.router.maps.read().require_instance(name)
        found = self._instances.get(name)
        if found is None:
            made = GatewayInstance(name, self.router, self._names, self._changes)
            found = self._instances.setdefault(name, made)
        return found
