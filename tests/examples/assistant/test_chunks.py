"""Passages hold all that a document says, in order and within bounds."""

from itertools import zip_longest

from hypothesis import given
from hypothesis import strategies as st

from examples.assistant.chunks import Chunk, chunks_of
from examples.assistant.reading.document import Block, BlockKind
from examples.assistant.sentences import sentences, token_count

WORDS = st.sampled_from(
    [
        "otter ",
        "dives. ",
        "It ",
        "dpkg-reconfigure ",
        "水獭",
        "在海里睡觉。",
        "吗？",
        "e.g. ",
        "\n",
        "Yes! ",
        "x" * 300,
        "獭" * 200,
    ]
)
TEXTS = st.one_of(st.text(min_size=1, max_size=400), st.lists(WORDS, min_size=1, max_size=60).map("".join))
SENTENCES = TEXTS.filter(lambda text: bool(text.strip()))
BODY = st.builds(Block, st.sampled_from([kind for kind in BlockKind if kind is not BlockKind.HEADING]), SENTENCES)
TITLES = st.integers(0, 99).map(lambda number: f"Title {number}")
HEADINGS = st.builds(
    Block, st.just(BlockKind.HEADING), TITLES, st.integers(1, 6), st.integers(0, 99).map(lambda number: f"at-{number}")
)
BLOCKS = st.lists(st.one_of(BODY, HEADINGS), max_size=30)


def said(chunks: list[Chunk]) -> list[tuple[BlockKind, str]]:
    """The blocks that the chunks' parts are pieces of."""
    found: list[tuple[BlockKind, str]] = []
    for part in (part for chunk in chunks for part in chunk.parts):
        if part.continues:
            kind, text = found[-1]
            assert kind is part.kind
            found[-1] = (kind, text + part.text)
        else:
            found.append((part.kind, part.text))
    return found


@given(BLOCKS, st.integers(16, 300), st.integers(0, 15))
def test_nothing_is_lost_and_the_order_is_kept(blocks: list[Block], tokens_max: int, overlap_max: int) -> None:
    chunks = chunks_of(blocks, tokens_max, overlap_max)
    body = [(block.kind, block.text) for block in blocks if block.kind is not BlockKind.HEADING]
    assert [one for one in said(chunks) if one[0] is not BlockKind.HEADING] == body
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))

    # Every heading is a title of the passages below it, or a passage of itself.
    titled = {(chunk.titles[-1], chunk.anchor) for chunk in chunks if chunk.titles}
    named = {title for chunk in chunks for title in chunk.titles}
    alone = {text for kind, text in said(chunks) if kind is BlockKind.HEADING}
    for block, following in zip_longest(blocks, blocks[1:]):
        if block.kind is BlockKind.HEADING:
            assert block.text in named | alone
            if following is not None and following.kind is not BlockKind.HEADING:
                assert (block.text, block.anchor) in titled


@given(BLOCKS, st.integers(16, 300), st.integers(0, 15))
def test_bounds_hold(blocks: list[Block], tokens_max: int, overlap_max: int) -> None:
    chunks = chunks_of(blocks, tokens_max, overlap_max)
    for before, chunk in zip([None, *chunks], chunks, strict=False):
        own = "\n".join(part.text for part in chunk.parts)
        assert chunk.parts
        assert token_count(own) <= tokens_max
        assert token_count("\n".join([chunk.overlap, own])) <= tokens_max + 1
        assert token_count(chunk.overlap) <= overlap_max
        assert all(part.text for part in chunk.parts)
        if chunk.overlap:
            assert before is not None
            assert (before.titles, before.anchor) == (chunk.titles, chunk.anchor)
            assert before.parts[-1].text.strip().endswith(chunk.overlap)


@given(st.text(max_size=400))
def test_sentences_are_all_of_a_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_sentences_end_where_readers_say_so() -> None:
    assert sentences("Use apt, e.g. for upgrades. It helps! 水獭睡觉。真的吗？是的") == [
        "Use apt, e.g. for upgrades. ",
        "It helps! ",
        "水獭睡觉。",
        "真的吗？",
        "是的",
    ]


def test_passages_stand_under_their_headings() -> None:
    def heading(level: int, text: str) -> Block:
        return Block(BlockKind.HEADING, text, level, text.lower())

    def paragraph(text: str, page: int = 0) -> Block:
        return Block(BlockKind.PARAGRAPH, text, page=page)

    one, two = "One is short. " * 8, "Two is short. " * 8
    chunks = chunks_of(
        [
            paragraph("Before all."),
            heading(1, "Otters"),
            heading(2, "Food"),
            paragraph(one, 3),
            paragraph(two, 4),
            heading(2, "Sleep"),
            heading(1, "Rivers"),
            paragraph("They freeze."),
        ],
        tokens_max=60,
        overlap_tokens_max=10,
    )
    assert [(chunk.titles, chunk.anchor, chunk.page) for chunk in chunks] == [
        ((), "", 0),
        (("Otters", "Food"), "food", 3),
        (("Otters", "Food"), "food", 4),
        (("Otters",), "sleep", 0),
        (("Rivers",), "rivers", 0),
    ]
    assert chunks[2].overlap == "One is short. One is short."
    assert chunks[2].text == f"Otters › Food\n{chunks[2].overlap}\n{two}"
    assert chunks[3].text == "Otters\nSleep"
