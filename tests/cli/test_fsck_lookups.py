"""``lutra fsck`` over an index in which filters would find other rows than their values say."""

from __future__ import annotations

import json
from pathlib import Path

from support.damaged_segments import Numbers, OpenedStream
from support.lutra_command import run_lutra

import lutra


def fsck(data: Path, *options: str) -> tuple[int, str]:
    done = run_lutra("fsck", "--data", str(data), *options)
    assert done.stderr == ""
    return done.status, done.stdout


def test_a_filter_s_fault_is_told_with_its_field_segment_and_remedy(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with lutra.connect(data) as db:
        notes = db.create_table("notes", {"id": int}, {"kind": str})
        notes.put_many({"id": n, "kind": f"kind-{n % 5}"} for n in range(100))
        db._open().wait_searchable("notes", "search", 20)
        (feed,) = db._engine.partition.feeder._feeds
        feed.index.flush()
    (segment,) = data.rglob("segments/*")
    stream = OpenedStream(segment.read_bytes(), "column of kind")

    def swapped(docs: Numbers) -> None:
        docs[[0, -1]] = docs[[-1, 0]]

    stream.renumber(stream.meta["column"]["postings"]["docs"], swapped)
    segment.write_bytes(stream.whole())

    text = "column [kind]: its postings: 2 are wrong, first document 99 of 'kind-0', which is 0"
    status, printed = fsck(data)
    assert status == 1
    assert f"/segments/{segment.name}: {text}\n" in printed
    assert "lutra index rebuild" in printed
    status, printed = fsck(data, "--json")
    (fault,) = json.loads(printed)["faults"]
    assert (status, fault["remedy"], fault["text"]) == (1, "rebuild", text)
    assert fault["place"].endswith(f"/segments/{segment.name}")
