"""The first rows of an import, converted and checked as they will be, and not written."""

from __future__ import annotations

from typing import Final

from lutra.instance.put_batches import PutBatches, Rejected
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.rows import RowChange, WriteResult
from lutra.model.schema import CapacityUnits
from lutra.transfer.plan import Plan, Trial
from lutra.transfer.positions import FoundRow
from lutra.transfer.row_maker import RowMaker
from lutra.transfer.sampling import Sample

_REASONS_MAX: Final = 3


def tried(plan: Plan, sample: Sample) -> Trial:
    """Raises ParameterInvalid where no row at all can be written."""
    makers = [RowMaker(plan, file.path.name) for file in plan.files]
    wrong = [(number, row, row.wrong or "") for number, row in sample.bad]
    rows, places = [], []
    for number, found in sample.kept:
        try:
            rows.append(makers[number].row(found))
            places.append((number, found))
        except ParameterInvalid as error:
            wrong.append((number, found, str(error)))

    def note(rejected: Rejected) -> None:
        number, found = places[rejected.number]
        wrong.append((number, found, str(rejected.error)))

    # A model would take its time, and a service be told of rows that nobody has said yes to.
    PutBatches(plan.layout.without_models(), _write_nothing, None, note).run(rows, None)
    total = len(sample.kept) + len(sample.bad)
    wrong.sort(key=lambda one: (one[0], one[1].number))
    reasons = [f"{plan.files[number].path.name}, {place_of(row)}: {reason}" for number, row, reason in wrong]
    if len(wrong) == total and total:
        raise ParameterInvalid(
            f"none of the first {total:,} rows can be written to table {plan.table!r}: "
            f"{'; '.join(reasons[:_REASONS_MAX])}"
        )
    return Trial(total, len(wrong), reasons[:_REASONS_MAX])


def place_of(row: FoundRow) -> str:
    """Where a row is in its file."""
    return f"row {row.number:,}" if row.line is None else f"line {row.line:,}"


def _write_nothing(changes: list[RowChange]) -> list[WriteResult | LutraError]:
    return [WriteResult(CapacityUnits()) for _ in changes]
