"""Files of every kind become blocks; what is broken is told."""

from pathlib import Path

import pytest
from support.sample_pdf import pdf_of

from examples.assistant.reading import pdf, reader
from examples.assistant.reading.document import Block, BlockKind, Document, UnreadableDocument
from examples.assistant.reading.reader import read_bytes, read_document

HTML = """<!DOCTYPE html><html lang="zh-CN"><head><title>  獭 与
 河 </title><style>p { color: red }</style></head><body>
<nav>Home</nav><div class="toc"><p>Contents</p></div>
<h1 id="top">Otters &amp; rivers</h1><p>They   <em>dive</em>
for <code>crabs</code>.</p>
<div class="section" id="food"><h2>Food</h2><ul><li><p>Fish</p><ul><li>small</li></ul></li></ul>
<pre>one
  two</pre></div>
<h2><a id="facts"></a>Facts</h2><table><tr><th>What</th><th>How much</th></tr>
<tr><td><p>Weight</p></td><td>9 kg</td></tr></table>
<script>alert("never")</script><!-- never --><p hidden>never</p>Last words
</body></html>"""

MARKDOWN = """---
layout: page
---
# Otters

They *dive* for
`crabs`.

- Fish
- Crabs

## Food & drink
| what | how much |
|------|----------|
| fish | 1 kg |

```
otter --dive
```

## Food & drink
<p>In <b>tags</b></p>
"""


def read(content: bytes | str, name: str, language: str = "en") -> Document:
    return read_document(content.encode() if isinstance(content, str) else content, Path(name), language)


def shape(document: Document) -> list[tuple[str, str]]:
    return [(str(block.kind), block.text) for block in document.blocks]


def test_html_gives_what_a_reader_sees() -> None:
    document = read(HTML, "a.html")
    assert (document.title, document.language, document.kind) == ("獭 与 河", "zh", "html")
    assert shape(document) == [
        ("heading", "Otters & rivers"),
        ("paragraph", "They dive for crabs."),
        ("heading", "Food"),
        ("item", "Fish"),
        ("item", "small"),
        ("code", "one\n  two"),
        ("heading", "Facts"),
        ("row", "What | How much"),
        ("row", "Weight | 9 kg"),
        ("paragraph", "Last words"),
    ]
    headings = [(block.level, block.anchor) for block in document.blocks if block.kind is BlockKind.HEADING]
    assert headings == [(1, "top"), (2, "food"), (2, "facts")]


def test_xhtml_and_html_without_a_body_are_read() -> None:
    begin = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">'
    xhtml = begin + '<body><h2><a id="x"/>One</h2><p>Two</p></body></html>'
    assert read(xhtml, "a.xhtml").blocks == (
        Block(BlockKind.HEADING, "One", 2, "x"),
        Block(BlockKind.PARAGRAPH, "Two"),
    )
    assert shape(read("Just <b>words</b>", "a.htm")) == [("paragraph", "Just words")]
    gb = '<meta charset="gb18030"><p>水獭在海里睡觉。</p>'.encode("gb18030")
    document = read(gb, "a.html")
    assert (shape(document), document.language) == ([("paragraph", "水獭在海里睡觉。")], "zh")


def test_html_as_deep_as_it_likes_is_read() -> None:
    depth = 20_000
    document = read("<div>" * depth + "Deep" + "</div>" * depth + "<p>After</p>", "a.html")
    assert "After" in [text for _, text in shape(document)]


def test_markdown() -> None:
    document = read(MARKDOWN, "a.md")
    assert (document.title, document.language, document.kind) == ("Otters", "en", "markdown")
    assert shape(document) == [
        ("heading", "Otters"),
        ("paragraph", "They dive for crabs."),
        ("item", "Fish"),
        ("item", "Crabs"),
        ("heading", "Food & drink"),
        ("row", "what | how much"),
        ("row", "fish | 1 kg"),
        ("code", "otter --dive"),
        ("heading", "Food & drink"),
        ("paragraph", "In tags"),
    ]
    headings = [block for block in document.blocks if block.kind is BlockKind.HEADING]
    assert [(block.level, block.anchor) for block in headings] == [
        (1, "otters"),
        (2, "food--drink"),
        (2, "food--drink-1"),
    ]


def test_plain_text() -> None:
    document = read("Otters\r\ndive.\r\n\r\n    otter --dive\n    crab\n\n\nAgain.", "notes.txt", "de")
    assert (document.title, document.language, document.kind) == ("notes.txt", "de", "text")
    assert shape(document) == [
        ("paragraph", "Otters dive."),
        ("code", "    otter --dive\n    crab"),
        ("paragraph", "Again."),
    ]
    for encoding in ("utf-8-sig", "utf-16", "gb18030"):
        chinese = read("水獭在海里睡觉。".encode(encoding), "a.txt")
        assert (chinese.blocks[0].text, chinese.language) == ("水獭在海里睡觉。", "zh"), encoding


def test_pdf_has_pages_and_its_outline() -> None:
    content = pdf_of(
        ["Otters dive for cr-\nabs. They are fast.\nThey sleep", "Rivers (in winter) freeze."], ["Otters", "Rivers"]
    )
    document = read(content, "a.pdf")
    assert (document.title, document.kind) == ("a.pdf", "pdf")
    assert document.blocks == (
        Block(BlockKind.HEADING, "Otters", 1, "page-1", 1),
        Block(BlockKind.PARAGRAPH, "Otters dive for crabs. They are fast.", 0, "page-1", 1),
        Block(BlockKind.PARAGRAPH, "They sleep", 0, "page-1", 1),
        Block(BlockKind.HEADING, "Rivers", 1, "page-2", 2),
        Block(BlockKind.PARAGRAPH, "Rivers (in winter) freeze.", 0, "page-2", 2),
    )


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.pdf", b"%PDF-1.4\nnothing that a PDF has", "no PDF that can be read"),
        ("a.pdf", pdf_of(["Words"])[:200], "no PDF that can be read"),
        ("a.pdf", b"", "no PDF that can be read"),
        ("a.txt", b"\x89PNG\0\0\0\r", "not text"),
        ("a.md", b"\xff\xff\xff\xff", "not text"),
        ("a.txt", b" \n\n \n", "no text in it"),
        ("a.html", b"<script>1</script>", "no text in it"),
        ("a.docx", b"words", "none of .htm"),
        ("a", b"words", "no suffix is none of"),
    ],
)
def test_what_is_broken_is_told(name: str, content: bytes, complaint: str) -> None:
    with pytest.raises(UnreadableDocument, match=complaint):
        read(content, name)


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableDocument, match="No such file"):
        read_bytes(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"x" * 101)
    monkeypatch.setattr(reader, "FILE_BYTES_MAX", 101)
    assert len(read_bytes(tmp_path / "a.txt")) == 101
    monkeypatch.setattr(reader, "FILE_BYTES_MAX", 100)
    with pytest.raises(UnreadableDocument, match="larger than"):
        read_bytes(tmp_path / "a.txt")
    monkeypatch.setattr(reader, "BLOCKS_MAX", 2)
    with pytest.raises(UnreadableDocument, match="paragraphs"):
        read("a\n\nb\n\nc", "a.txt")
    monkeypatch.setattr(pdf, "PAGES_MAX", 1)
    with pytest.raises(UnreadableDocument, match="2 pages"):
        read(pdf_of(["a", "b"]), "a.pdf")
