"""The search page over HTTP: whatever a link or a form of it asks for."""

from __future__ import annotations

import base64
import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import numpy as np
import pytest
from support import pictures
from support.console_client import Answer, ConsoleClient
from support.searched_notes import NAMES, notes
from support.server import ACCESS_KEY_SECRET

from lutra.console.search import address, bounds

PAGE = "/i/test/t/notes/search"
ROW = re.compile(r'id="hit-\d+"><a href="[^"]*">([^<]*)<')


def asked(console: ConsoleClient, spec: Any, path: str = PAGE, **more: str) -> Answer:
    return console.get(f"{path}?{urlencode({'s': address.written(spec), **more})}")


def keys(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return ROW.findall(answer.html)


def total(answer: Answer) -> int:
    [found] = re.findall(r'role="status">([\d,]+) rows?<', answer.html)
    return int(found.replace(",", ""))


def faults(answer: Answer) -> dict[str, str]:
    assert answer.status == 400
    return {place: unescape(text) for place, text in re.findall(r'<li data-place="([^"]*)">([^<]*)', answer.html)}


def where(*parts: Any) -> Any:
    return {"where": {"group": "all", "parts": list(parts)}}


def test_an_empty_page_has_examples_which_all_work(console: ConsoleClient) -> None:
    page = console.get(PAGE)
    links = re.findall(r'<li><a href="([^"]*/search\?s=[^"]*)">', page.html)
    assert len(links) >= 5
    for link in links:
        answer = console.get(unescape(link))
        assert answer.status == 200
        assert "rows</span>" in answer.html


def test_words_are_marked_and_what_rows_hold_is_text(console: ConsoleClient) -> None:
    answer = asked(console, {"words": {"text": "dog number7", "match": "all"}})
    assert keys(answer) == ["7"]
    assert "<mark>dog</mark>" in answer.html
    assert "<mark>number7</mark>" in answer.html
    assert "&lt;script&gt;document.title" in answer.html
    assert "<script>document" not in answer.html
    assert "<b>bold" not in answer.html


def test_a_link_may_have_plain_json(console: ConsoleClient) -> None:
    answer = console.get(PAGE + "?s=" + quote('{"words": {"text": "number9"}}'))
    assert keys(answer) == ["9"]


def test_conditions_and_order_and_pages(console: ConsoleClient) -> None:
    spec = {
        **where({"field": "year", "op": "from", "value": "2010"}, {"field": "remarks.by", "op": "is", "value": "x"}),
        "sort": [{"by": "key", "descending": True}],
    }
    assert faults(asked(console, spec)) == {
        "where.parts.1.field": "remarks.by is in remarks: it stands in a group of that. "
    }
    spec["where"]["parts"][1] = {
        "group": "all",
        "within": "remarks",
        "parts": [{"field": "remarks.stars", "op": "above", "value": 2}],
    }
    expected = [n for n in range(60) if n % 20 >= 10 and n % 4 and n % 5 > 2]
    answer = asked(console, {**spec, "limit": 5})
    assert keys(answer) == [str(n) for n in expected[::-1]][:5]
    assert total(answer) == len(expected)
    later = asked(console, {**spec, "limit": 5}, offset="5")
    assert keys(later) == [str(n) for n in expected[::-1]][5:10]
    assert f"6 to {min(10, len(expected))} of {len(expected)}" in later.text


def test_one_row_for_each_value(console: ConsoleClient) -> None:
    spec = {"collapse": "kind", "limit": 2, "sort": [{"by": "key", "descending": True}]}
    first, second = asked(console, spec), asked(console, spec, offset="2")
    assert keys(first) + keys(second) == ["59", "58", "57"]
    assert "1 to 2 of" not in first.text, "how many kinds there are nobody counted"
    assert re.search(r'name="offset" value="2">', first.html)
    assert re.search(r'name="offset" value="4" disabled>', second.html)


def test_bars_lead_to_their_rows(console: ConsoleClient) -> None:
    aggregations = [
        {"by": "value", "field": "kind", "size": 2},
        {"by": "value", "field": "good"},
        {"by": "range", "field": "year", "bounds": [2005, 2010]},
        {"by": "interval", "field": "year", "every": 7},
        {"by": "date", "field": "at", "unit": "month", "zone": "Asia/Shanghai"},
        {"by": "date", "field": "at", "unit": "week"},
        {"by": "distance", "field": "place", "point": "0,10", "bounds": [100000, 300000]},
        {"by": "cell", "field": "place", "precision": 3},
        {"by": "value", "field": "remarks.stars"},
    ]
    for aggregation in aggregations:
        spec = {**where({"field": "year", "op": "above", "value": 2001}), "aggregations": [aggregation], "limit": 0}
        answer = asked(console, spec)
        bars = re.findall(
            r'name="add" value="([^"]*)"[^>]*>([^<]*)</button></th>\s*<td class="numeric">([\d,]+)<', answer.html
        )
        assert len(bars) >= 2, aggregation
        for condition, label, rows in bars:
            assert total(asked(console, spec, add=unescape(condition))) == int(rows), (aggregation, label)


def test_figures_and_groups_of_groups(console: ConsoleClient) -> None:
    each = [{"of": "avg", "field": "year"}, {"by": "value", "field": "good"}]
    aggregations = [
        {"of": "count"},
        {"of": "max", "field": "at"},
        {"of": "percentiles", "field": "year", "percents": [50]},
        {"by": "value", "field": "kind", "each": each},
    ]
    page = asked(console, {"aggregations": aggregations, "limit": 0}).text
    for expected in (
        "Greatest at",
        f"{max(row['at'] for row in notes()):%Y-%m-%dT%H:%M:%SZ}",
        "50 %",
        "2,009.5",
        "Average of year",
        "Rows by good",
    ):
        assert expected in page


def test_near_to_a_vector_a_row_and_a_text(console: ConsoleClient) -> None:
    packed = base64.b64encode(np.array([10, 1, -10], "<f4").tobytes()).decode()
    for vector in ([10, 1, -10], packed):
        near = {"field": "small", "by": "vector", "vector": vector, "top": 3}
        assert keys(asked(console, {"near": near, "limit": 3})) == ["10", "9", "11"]
    page = asked(console, {"near": {"field": "small", "by": "row", "key": "[28]"}, "limit": 3})
    assert keys(page) == ["28", "27", "29"]
    like = next(link for link in re.findall(r'href="([^"]*)">More like this', page.html))
    assert keys(console.get(unescape(like)))[0] == "28", "which has no remark, so there is one link"
    page = asked(console, {"near": {"field": "remarks.mood", "by": "row", "key": "[30]"}, "limit": 2})
    assert keys(page) == ["30", "29"], "by the vector of the row's first remark"
    assert (
        "no vector in remarks.mood"
        in faults(asked(console, {"near": {"field": "remarks.mood", "by": "row", "key": "[4]"}}))["near.key"]
    )
    letters, text = "/i/test/t/letters/search", {"field": "meaning", "by": "text", "text": "music"}
    assert keys(asked(console, {"near": text}, letters))[0] == "violin"
    assert keys(asked(console, {"near": {**text, "model": "wordllama"}}, letters))[0] == "violin"
    stories = asked(console, {"near": text}, "/i/test/t/stories/search")
    assert keys(stories)[0] == str(NAMES.index("violin")), "by the model that made the rows' vectors"
    told = faults(asked(console, {"near": {**text, "model": "tfidf:/etc/passwd"}}, letters))
    assert "no model for meaning" in told["near.model"], "a model has no argument: it might be any file"


def test_a_picture_is_served_as_one_and_nothing_else_is(console: ConsoleClient) -> None:
    page = asked(console, where({"field": "year", "op": "to", "value": 2004}))
    sources = [unescape(one) for one in re.findall(r'<img class="picture" src="([^"]*)"', page.html)]
    assert len(sources) == 4
    answer = console.get(sources[0])
    assert answer.status == 200
    assert answer.body.startswith(b"\x89PNG")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    for key, column, status in (
        ("[4]", "photo", 404),
        ("[0]", "text", 404),
        ("[99]", "photo", 404),
        ("x", "photo", 400),
    ):
        assert console.get(f"{PAGE}/picture?{urlencode({'key': key, 'column': column})}").status == status


def uploaded(console: ConsoleClient, content: bytes, field: str = "looks") -> Answer:
    boundary = "x1y2z3"
    body = (
        f'--{boundary}\r\ncontent-disposition: form-data; name="field"\r\n\r\n{field}\r\n'
        f'--{boundary}\r\ncontent-disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
    ).encode() + content + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
    return console.upload(f"{PAGE}/vector", body, {"content-type": f"multipart/form-data; boundary={boundary}"})


def test_near_to_a_picture(console: ConsoleClient) -> None:
    answer = uploaded(console, pictures.encoded(pictures.ball("green"), "JPEG"))
    assert answer.status == 200, answer.text
    near = {"field": "looks", "by": "picture", "vector": answer.json()["vector"], "name": "a.png"}
    assert keys(asked(console, {"near": near}))[0] == "1"
    assert "no picture" in uploaded(console, b"<svg></svg>").text
    assert uploaded(console, b"\x89PNG\r\n\x1a\n" + bytes(100)).status == 400
    assert uploaded(console, pictures.encoded(pictures.ball("red")), "small").status == 400
    assert uploaded(console, bytes(5 * 1024 * 1024)).status == 413
    console.token = "forged"
    assert uploaded(console, b"").status == 403


def test_what_is_wrong_is_told_in_the_language_of_who_asks(console: ConsoleClient) -> None:
    spec = {"near": {"field": "small", "by": "vector", "vector": [1, 2]}}
    assert faults(asked(console, spec)) == {"near.vector": "The field small has vectors of 3 numbers, not of 2. "}
    console.headers["accept-language"] = "zh"
    assert faults(asked(console, spec)) == {"near.vector": "字段 small 的向量有 3 个数，而不是 2 个。 "}


@pytest.mark.parametrize(
    "parameter", ["~x", "[]", "{", '{"where": 5}', "x" * bounds.PARAMETER_CHARS_MAX * 2, '{"s":"\\ud800"}']
)
def test_an_address_that_holds_no_search_is_no_failure(console: ConsoleClient, parameter: str) -> None:
    faults(console.get(f"{PAGE}?s={quote(parameter[:60_000])}"))
    answer = console.get(f"{PAGE}?s=%7B%7D&add={quote(parameter[:60_000])}&offset=x")
    assert answer.status == 400


def test_a_whole_form_as_grid_with_an_explanation(console: ConsoleClient) -> None:
    spec = {
        "words": {"text": "river"},
        "near": {"field": "small", "by": "row", "key": "[8]"},
        "collapse": "kind",
        "columns": ["text", "kind"],
        "explain": True,
        "view": "grid",
    }
    page = asked(console, spec)
    assert page.status == 200
    head = re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', page.html)
    assert head[:4] == ["Key", "Score", "text", "kind"]
    assert "What was done" in page.text
    assert re.search(r"\d+ of \d+ true neighbours found \(100 %\)", page.text), "of so few rows all are compared"
    assert "data-programs" not in page.html
    programs = asked(console, spec, code="1").text
    assert 'tablestore.MatchQuery(field_name="text", text="river")' in programs
    assert 'collapse="kind"' in programs, "the embedded API's program, too"
    assert "http://127.0.0.1:" in programs
    assert ACCESS_KEY_SECRET not in programs
    assert page.text.count("More like this") == 0, "vectors were not asked for"


def test_tables_of_sdks_and_several_indexes(console: ConsoleClient) -> None:
    path = "/i/test/t/goods/search"
    assert "goods_other" in console.get(path).text
    page = asked(console, {"near": {"field": "v", "by": "row", "key": '["north",{"base64":"A/8="}]'}, "limit": 2}, path)
    assert keys(page) == ["north, 03ff", "north, 02ff"]
    links = [unescape(link) for link in re.findall(r'id="hit-\d+"><a href="([^"]*)"', page.html)]
    assert [json.loads(parse_qs(urlsplit(link).query)["key"][0])[1] for link in links] == [
        {"base64": "A/8="},
        {"base64": "Av8="},
    ]
    assert keys(asked(console, {"words": {"text": "last"}}, path)) == ["south, "]
    other = asked(console, {"words": {"text": "last"}}, path, index="goods_other")
    assert faults(other) == {"words": "There is no field of text to look in. "}
    cheap = asked(console, where({"field": "price", "op": "below", "value": "1"}), path, index="goods_other")
    assert keys(cheap) == ["north, 00ff", "north, 01ff"]
    assert "index=goods_other" in cheap.html
    assert asked(console, {}, path, index="nothing").status == 404


def test_a_table_without_an_index_says_so(console: ConsoleClient) -> None:
    page = console.get("/i/test/t/bare/search")
    assert "has no search index" in page.text
    assert "/i/test/t/bare/new-index" in page.html
    assert console.get("/i/test/t/nothing/search").status == 404
