"""Whether what is found of an index is of its table's past, and whose the place of its objects is."""

from __future__ import annotations

from lutra.feed.progress import NO_PROGRESS
from lutra.index.lsm.manifest import Manifest
from lutra.objects.owner import Claim
from lutra.tables.changelog import Changelog
from lutra.tables.history import Origin


class Provenance:
    """Of one index, in one opening of its store."""

    def __init__(self, changelog: Changelog, table_id: int, claim: Claim | None = None) -> None:
        """``claim``: of the place of the objects; None: nobody else comes there."""
        self._changelog = changelog
        self._table_id = table_id
        self._claim = claim

    @property
    def origin(self) -> Origin:
        """Of what is committed now."""
        return self._changelog.history.origin

    @property
    def last_sequence(self) -> int:
        """Of the table's changes, now."""
        return self._changelog.last_sequence

    @property
    def seen(self) -> int:
        """No change after this sequence has left a trace in what is committed now."""
        return self._changelog.given_out

    def why_not(self, manifest: Manifest) -> str | None:
        """Why an index cannot go on from ``manifest`` with the table's changes; None where it can.

        Raises StorageFailure.
        """
        position = manifest.progress.position
        if (why := self.whose_else(manifest)) is not None:
            return why
        if not manifest.segments and manifest.progress == NO_PROGRESS:  # it has yet to begin
            return None
        trimmed = self._changelog.trimmed_through(self._table_id)
        if position < trimmed:
            return f"it knows changes up to {position}, and those up to {trimmed} are forgotten"
        return None

    def whose_else(self, manifest: Manifest) -> str | None:
        """Why ``manifest`` is not of this store's past; None where it is, however old."""
        history, last = self._changelog.history, self._changelog.last_sequence
        return history.why_not(manifest.origin, manifest.progress.position, last)

    def require_place(self) -> None:
        """Raises Fenced where another store, or a copy of this one, has taken the place of the objects."""
        if self._claim is not None:
            self._claim.require()
