"""The page of operations says what the server answers, and leaves out none that an SDK calls."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import tablestore.client

from lutra.model.errors import UnsupportedOperation
from lutra.server.protocol.operations import find_operation
from tools.operations_table import GROUPS, PARTLY, group_of, names, written

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
ROW = re.compile(r"^\| (?:\*\*[\w ]+\*\*|) \| (.+) \| (served|partly|not served) \| (.*)\|$", re.MULTILINE)


def told() -> dict[str, str]:
    """What the page says of each operation."""
    rows = [(name, state) for cell, state, _ in ROW.findall(PAGE) for name in re.findall(r"`([\w/]+)`", cell)]
    assert len(rows) == len(dict(rows)), "an operation stands there twice"
    return dict(rows)


def test_the_page_follows_from_the_code() -> None:
    assert written(PAGE) == PAGE, "run: python -m tools.operations_table"


def test_the_server_answers_as_the_page_says() -> None:
    assert set(told()) == set(names())
    for name, state in told().items():
        if state == "not served":
            with pytest.raises(UnsupportedOperation, match="part of the protocol"):
                find_operation(name)
        else:
            assert find_operation(name).name == name
    assert {name for name, state in told().items() if state == "partly"} == set(PARTLY)


def test_whatever_the_sdk_calls_is_there() -> None:
    source = inspect.getsource(tablestore.client)
    called = set(re.findall(r"_request_helper\(\s*'(\w+)'", source))
    called |= set(re.findall(r"_vectors_request_helper\(\s*['\"](\w+)['\"]", source))
    assert len(called) > 60
    assert called <= set(told())


def test_every_group_has_operations() -> None:
    assert {group_of(name) for name in names()} == set(GROUPS)
    with pytest.raises(LookupError):
        group_of("Nothing")
