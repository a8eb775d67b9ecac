"""examples/pictures: a folder becomes a table, and the page finds what is asked for, by the command as written."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from support.browser import assert_accessible, chromium, page_of
from support.example_page import example_page
from support.page_visitor import Visitor
from support.pictures import ball, encoded, traffic_light

import lutra
from examples.pictures.collection import NoPictures, read_collection
from examples.pictures.filling import Filling, fill
from examples.pictures.gallery import Gallery, Question
from examples.pictures.measuring import measure
from examples.pictures.uploads import Upload, Uploads
from examples.shared.debian import PackageUnavailable, package_root

ROOT = Path(__file__).parents[2]
SCRIPT = "<script>alert(1)</script>"
# As a browser tells of a file that is dropped or pasted.
SEND_PICTURE = """(target, [kind, content]) => {
  const data = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
  data.items.add(new File([bytes], "mine.png", { type: "image/png" }));
  const event = kind === "drop"
    ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
  target.dispatchEvent(event);
}"""
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" width="60pt" height="60pt">
<rect x="5" y="5" width="70" height="70" fill="#2255cc"/></svg>"""


def drawn(folder: Path) -> Path:
    """A collection: balls, a street, a drawing; a file that is no picture and one that is too much of one."""
    files = {
        "balls/red.png": encoded(ball("red")),
        "balls/orange.png": encoded(ball("orange")),
        "balls/green.webp": encoded(ball("green"), "WEBP"),
        "street/light.jpg": encoded(traffic_light(), "JPEG"),
        "street/empty/wall.png": encoded(Image.new("RGB", (64, 64), "grey")),
        "square.svg": DRAWING.encode(),
        "broken.png": b"\x89PNG nothing",
        "unbounded.svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='1e9' height='-1'/>",
        ".hidden/red.png": encoded(ball("red")),
    }
    captions = {
        "balls/red": "\n".join(
            [
                "A red ball.",
                "zh_CN.utf8=红色的球。",
                "ja.utf8=赤いボール",
                "fr.utf8=Une balle rouge.",
                "de.utf8=Ein Ball.",
            ]
        ),
        "balls/orange": "An orange ball.\nzh_CN.utf8=橙色的球。",
        "balls/green": f"A green ball. {SCRIPT}",
        "street/light": "Traffic lights.\nzh_CN.utf8=红绿灯。",
        "square": "A blue square.\nzh_CN.utf8=蓝色的正方形。",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name, caption in captions.items():
        (folder / f"{name}.txt").write_text(caption)
    return folder


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command prints."""
    return tmp_path_factory.mktemp("pictures") / "log"


@pytest.fixture(scope="module")
def address(log: Path) -> Iterator[str]:
    """The page, which the command serves once it has filled its table."""
    arguments = ["--data", str(log.with_name("data")), "--folder", str(drawn(log.with_name("drawn"))), "--port", "0"]
    with example_page("examples.pictures", arguments, log, {"COLUMNS": "200"}) as address:
        yield address


@pytest.fixture
def visitor(address: str) -> Visitor:
    visitor = Visitor(address)
    assert visitor.get("/").status == 200
    return visitor


def paths(found: Any) -> list[str]:
    return [one["path"] for one in found["found"]]


# --- the command and its page -----------------------------------------------------------------------------------------


def test_it_tells_what_it_did(address: str, log: Path) -> None:
    told = log.read_text()
    assert "8 pictures: 6 written, 0 unchanged, 0 deleted, 2 left out" in told
    assert "left out broken.png: not a picture of a known kind" in told
    assert "left out unbounded.svg: not a drawing that can be rendered" in told


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("red ball", "balls/red.png"),
        ("a lamp that stops cars", "street/light.jpg"),
        ("红绿灯", "street/light.jpg"),
        ("蓝色的正方形", "square.svg"),
        ("une balle rouge", "balls/red.png"),
    ],
)
def test_by_words(visitor: Visitor, words: str, first: str) -> None:
    found = visitor.get_json(f"/?words={quote(words)}")
    assert paths(found)[0] == first
    assert len(found["found"]) == 6
    scores = [one["score"] for one in found["found"]]
    assert scores == sorted(scores, reverse=True)


def test_by_a_picture_of_the_collection(visitor: Visitor) -> None:
    found = paths(visitor.get_json("/?like=balls/red.png"))
    assert found[0] == "balls/orange.png"
    assert "balls/red.png" not in found
    assert len(found) == 5


def test_by_both(visitor: Visitor) -> None:
    found = paths(visitor.get_json(f"/?like=balls/red.png&words={quote('green')}"))
    assert found[0] == "balls/green.webp"
    assert len(found) == 5


def test_within_a_folder(visitor: Visitor) -> None:
    assert sorted(paths(visitor.get_json("/?words=ball&folder=street"))) == [
        "street/empty/wall.png",
        "street/light.jpg",
    ]
    assert paths(visitor.get_json("/?folder=street/empty")) == ["street/empty/wall.png"]
    assert paths(visitor.get_json("/?folder=nowhere")) == []
    assert '<option value="street/empty">street/empty (1)</option>' in visitor.get("/").html


def test_by_ones_own_picture(visitor: Visitor) -> None:
    darker = traffic_light().point(lambda value: value * 4 // 5)
    answer = visitor.post("/ask", {"words": "", "folder": ""}, {"picture": encoded(darker)})
    assert answer.status == 303
    to = answer.headers["location"]
    page = visitor.get(to)
    assert "Your picture" in page.text
    assert "traffic light" in page.text, "what it looks like"
    assert paths(visitor.get_json(to))[0] == "street/light.jpg"
    assert len(paths(visitor.get_json(f"{to}&folder=balls"))) == 3
    upload = to.partition("upload=")[2].partition("&")[0]
    thumbnail = visitor.get(f"/upload/{upload}")
    assert (thumbnail.status, thumbnail.headers["content-type"]) == (200, "image/webp")
    assert visitor.get("/upload/other").status == 404
    kept = visitor.post("/ask", {"words": "ball", "folder": "", "upload": upload})
    assert kept.headers["location"] == f"/?words=ball&upload={upload}"


def test_what_cannot_be_taken_is_told(visitor: Visitor) -> None:
    form = {"words": "ball", "folder": "balls", "like": "balls/red.png"}
    answer = visitor.post("/ask", form, {"picture": b"<svg xmlns='http://www.w3.org/2000/svg'/>"})
    assert answer.status == 400
    assert 'value="ball"' in answer.html, "what was typed stays"
    assert '<input type="hidden" name="like" value="balls/red.png">' in answer.html
    assert "This picture cannot be taken: not a picture of a known kind: PNG, JPEG, WebP or GIF." in answer.text
    large = visitor.post("/ask", {}, {"picture": bytes((16 << 20) + 1)})
    assert large.status == 413
    assert "16,777,216 bytes" in large.text


def test_thumbnails_are_small_and_kept(visitor: Visitor) -> None:
    address = visitor.get("/?words=traffic").html.partition('src="/thumbnail/')[2].partition('"')[0]
    answer = visitor.get(f"/thumbnail/{address}")
    assert answer.status == 200
    assert "immutable" in answer.headers["cache-control"]
    assert len(answer.body) < 10_000
    digest, _, path = address.partition("/")
    assert visitor.get(f"/thumbnail/{digest[::-1]}/{path}").status == 404
    assert visitor.get(f"/thumbnail/{digest}/nowhere.png").status == 404


def test_what_is_in_a_caption_is_text(visitor: Visitor) -> None:
    page = visitor.get(f"/?words={quote(SCRIPT)}&like=balls/green.webp")
    assert SCRIPT in page.text
    assert SCRIPT not in page.html
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_other_sites_are_refused(visitor: Visitor) -> None:
    assert visitor.post("/ask", {"words": "x", "csrf_token": "forged"}).status == 403
    assert visitor.post("/ask", {"words": "x"}, origin="http://elsewhere.example").status == 403
    assert Visitor(visitor.address).post("/ask", {"words": "x", "csrf_token": visitor.token}).status == 403
    assert visitor.get("/", host="elsewhere.example").status == 400
    assert (
        visitor.post("/preferences", {"to": "//elsewhere.example", "lutra_language": "zh"}).headers["location"] == "/"
    )


@pytest.mark.parametrize("path", ["/nowhere", "/static/x/../console.css", "/own/x/none.css", "/thumbnail/x"])
def test_pages_that_are_not_there(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status == 404


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=99999999999", "limit=x", "like=nowhere", "upload=x", "words=" + "w" * 5000]
)
def test_any_query_is_answered(visitor: Visitor, query: str) -> None:
    assert visitor.get(f"/?{query}").status == 200


def test_in_a_browser(address: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(encoded(ball("orangered", side=200)))
    with chromium() as browser, page_of(browser, address, signed_in=False) as page:
        page.goto("/")
        assert_accessible(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.get_by_label("Words").fill("traffic")
        page.keyboard.press("Enter")
        page.wait_for_url("**/?words=traffic")
        cards = page.locator(".found li")
        assert "Traffic lights." in cards.first.inner_text()
        assert page.locator(".found img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
        assert_accessible(page)

        page.get_by_label("A picture of yours").set_input_files(mine)
        page.get_by_label("Words").fill("")
        page.get_by_role("button", name="Search").click()
        page.wait_for_url("**/?upload=*")
        assert page.get_by_role("heading", name="Pictures like this one").is_visible()
        assert "balls" in cards.first.inner_text()
        assert_accessible(page)

        page.get_by_label("Language", exact=True).select_option("zh")
        page.get_by_role("heading", name="搜索图片").wait_for()
        assert page.get_by_role("heading", name="与此相似的图片").is_visible()
        page.get_by_role("link", name="去掉这张图片再搜索").click()
        page.wait_for_url("**/")
        for kind, target in (("drop", "form.ask"), ("paste", "body")):
            page.locator(target).evaluate(SEND_PICTURE, [kind, base64.b64encode(mine.read_bytes()).decode()])
            page.wait_for_url("**/?upload=*")
            page.goto("/")
        assert "红绿灯。" in page.locator(".found").inner_text()


def test_a_picture_too_large_is_not_sent(address: str) -> None:
    with chromium() as browser, page_of(browser, address, signed_in=False) as page:
        page.goto("/")
        page.evaluate("document.getElementById('picture').dataset.bytesMax = '100'")
        file = {"name": "large.png", "mimeType": "image/png", "buffer": encoded(ball("red"))}
        page.get_by_label("A picture of yours").set_input_files([file])  # type: ignore[list-item]
        page.get_by_role("alert").wait_for()
        page.get_by_role("button", name="Search").click()
        assert "larger than 16.0 MB" in page.get_by_role("alert").inner_text()
        assert page.url.endswith("/")


def test_every_text_has_a_chinese_one() -> None:
    package = ROOT / "examples" / "pictures"
    called = re.compile(r"""(?:\b_|\btext)\(\s*(?:"((?:[^"\\]|\\.)+)"|'((?:[^'\\]|\\.)+)')""")
    sources = [*package.rglob("*.html"), *package.rglob("*.py")]
    messages = {double or single for path in sources for double, single in called.findall(path.read_text())}
    catalog = json.loads((package / "zh.json").read_text())
    assert messages == set(catalog)
    for english, chinese in catalog.items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), english


# --- filling ----------------------------------------------------------------------------------------------------------


def test_filling_again_does_what_has_changed(tmp_path: Path) -> None:
    folder = drawn(tmp_path / "drawn")
    with lutra.connect(tmp_path / "data") as database:
        gallery = Gallery(database)
        counts: list[tuple[int, int]] = []
        assert done(fill(gallery, folder, lambda *at: counts.append(at))) == (6, 0, 0, 2)
        assert counts[-1] == (8, 8)
        before = {row.key: row["digest"] for row in gallery.table.scan(columns=["digest"])}
        assert done(fill(gallery, folder)) == (0, 6, 0, 2)
        (folder / "balls/red.txt").write_text("A tomato.")
        (folder / "balls/orange.png").unlink()
        (folder / "street/light.jpg").write_bytes(b"no picture any more")
        assert done(fill(gallery, folder)) == (1, 3, 2, 3)
        after = {row.key: row["digest"] for row in gallery.table.scan(columns=["digest"])}
        assert [key for key in before if before[key] != after.get(key)] == [
            ("balls/orange.png",),
            ("balls/red.png",),
            ("street/light.jpg",),
        ]
        assert gallery.search(Question("tomato"), 1).found[0].path == "balls/red.png"
        assert "caption_zh_cn" not in (gallery.row("balls/red.png") or {})
        with pytest.raises(NoPictures, match=r"holds the pictures of .*drawn: choose another one"):
            fill(gallery, drawn(tmp_path / "others"))
        assert gallery.table.count() == 4


def test_a_filling_that_was_ended_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):
        pass

    def end(done: int, total: int) -> None:
        raise Ended

    monkeypatch.setattr("examples.pictures.filling._PICTURES_AT_ONCE", 2)
    folder = drawn(tmp_path / "drawn")
    with lutra.connect(tmp_path / "data") as database:
        gallery = Gallery(database)
        with pytest.raises(Ended):
            fill(gallery, folder, end)
        assert gallery.table.count() == 2
        assert done(fill(gallery, folder)) == (4, 2, 0, 2)


def test_names_that_a_table_cannot_have_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = drawn(tmp_path / "drawn")
    long = "/".join(["x" * 200] * 6)
    for name in (b"\xff.png", f"{long}.png".encode()):
        file = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(ball("red")))
    monkeypatch.setattr("examples.pictures.filling._BYTES_AT_ONCE", 1)  # each row for itself
    with lutra.connect(tmp_path / "data") as database:
        gallery = Gallery(database)
        filling = fill(gallery, folder)
    assert done(filling) == (6, 0, 0, 4)
    refused = dict(filling.refused)
    assert refused["?.png"] == "its name is not in UTF-8"
    assert "1,024" in refused[f"{long}.png"] or "1024" in refused[f"{long}.png"]


def done(filling: Filling) -> tuple[int, int, int, int]:
    assert filling.pictures == filling.written + filling.unchanged + len(filling.refused)
    return filling.written, filling.unchanged, filling.deleted, len(filling.refused)


def test_measurements_count_what_can_be_found(tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    names = {"a/one.png": "red", "a/two.png": "darkred", "a/two_mirror.png": "darkred", "b/one.png": "green"}
    for name, colour in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(ball(colour)))
        (folder / name).with_suffix(".txt").write_text(f"A {colour} ball.\nzh_CN.utf8=球 {colour}")
    with lutra.connect(tmp_path / "data") as database:
        gallery = Gallery(database)
        fill(gallery, folder)
        measured = measure(gallery)
    # The mirrored one is no answer for its other version, and the green one has none at all.
    assert measured["by_picture"]["same folder"] == {"questions": 3, "at_1": 1.0, "at_5": 1.0}
    assert measured["by_picture"]["same caption"]["questions"] == 0
    assert measured["by_words"]["English caption, words and vector"] == {"questions": 4, "at_1": 1.0, "at_5": 1.0}
    assert measured["by_words"]["Chinese caption, vector"]["questions"] == 4


def test_folders_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(NoPictures, match="there are no pictures in"):
        read_collection(tmp_path)
    with pytest.raises(NoPictures, match="there is no folder"):
        read_collection(tmp_path / "nowhere")


def test_uploads_are_bounded() -> None:
    uploads = Uploads(uploads_max=2)
    one, two = (Upload(None, (), content) for content in (b"1", b"2"))  # type: ignore[arg-type]
    first, second = uploads.keep(one), uploads.keep(two)
    assert uploads.find(first) is one  # so that the other is the older one now
    third = uploads.keep(two)
    assert [uploads.find(id_) for id_ in (first, second, third)] == [one, None, two]


# --- Debian's collection ----------------------------------------------------------------------------------------------


def test_a_package_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageUnavailable, match="there is no apt-get here"):
        package_root("otters", "usr/share/otters", tmp_path / "data", (".png",), print)
    there = tmp_path / "data" / "otters"
    (there / "usr/share/otters").mkdir(parents=True)
    assert package_root("otters", "usr/share/otters", tmp_path / "data", (".png",), print) == there


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_debians_stamps(tmp_path: Path) -> None:
    """What the README says of the default collection, less a margin."""
    command = [sys.executable, "-m", "examples.pictures", "--data", str(tmp_path), "--measure", "--json"]
    finished = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=2_400)
    if "apt-get download" in finished.stderr:
        pytest.skip(finished.stderr)
    assert finished.returncode == 0, finished.stderr
    measured = json.loads(finished.stdout)
    assert measured["filling"]["written"] == measured["pictures"] == 1_044
    assert measured["filling"]["refused"] == []
    rates = measured["by_picture"] | measured["by_words"]
    assert {name: rate["questions"] for name, rate in rates.items()} == {
        "same folder": 1_019,
        "same caption": 287,
        **{f"English caption, {how}": 1_044 for how in ("vector", "words and vector", "vector of likely names alone")},
        **{f"Chinese caption, {how}": 864 for how in ("vector", "words and vector", "vector of likely names alone")},
    }
    for name, at_1, at_5 in (
        ("same folder", 0.55, 0.76),
        ("same caption", 0.25, 0.38),
        ("English caption, vector", 0.92, 0.99),
        ("English caption, words and vector", 0.92, 0.99),
        ("Chinese caption, vector", 0.45, 0.62),
        ("Chinese caption, words and vector", 0.90, 0.97),
        ("English caption, vector of likely names alone", 0.10, 0.17),
    ):
        assert rates[name]["at_1"] >= at_1, name
        assert rates[name]["at_5"] >= at_5, name
