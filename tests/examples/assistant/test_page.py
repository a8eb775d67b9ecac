"""The assistant's page: a real process, asked by HTTP and in a real browser."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from support.assistant_documents import sources_of, write_documents
from support.browser import assert_accessible, chromium, page_of
from support.chat_server import KEY, ChatServer, Reply
from support.example_page import example_page
from support.page_visitor import Visitor
from support.waiting import wait_until

import lutra
from examples.assistant.library import Library
from examples.assistant.retrieval import QUESTION_CHARS_MAX
from examples.assistant.web import chat
from examples.assistant.web.chat import ANSWERS_AT_ONCE
from lutra.console.languages import translate
from lutra.embedding.tfidf import TfidfEmbedder

LINES = "application/x-ndjson, application/json"


def visitor_of(address: str) -> Visitor:
    """A visitor who has seen the first page."""
    visitor = Visitor(address)
    assert visitor.get("/").status == 200
    return visitor


def answered(visitor: Visitor, question: str, **fields: str) -> list[dict[str, Any]]:
    """The lines of an answer as the page's script gets them."""
    answer = visitor.post("/ask", {"question": question, **fields}, accept=LINES)
    assert answer.status == 200, answer.text
    return [json.loads(line) for line in answer.html.splitlines()]


def left(visitor: Visitor, question: str) -> http.client.HTTPConnection:
    """A question, by a visitor who does not wait for the answer."""
    connection = http.client.HTTPConnection(urlsplit(visitor.address).netloc, timeout=60)
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded", "Accept": LINES}
    connection.request("POST", "/ask", urlencode({"csrf_token": visitor.token, "question": question}), headers)
    return connection


def filled(folder: Path, embedder: TfidfEmbedder) -> Path:
    """A folder with a library in it."""
    write_documents(folder / "documents")
    embedder.save(folder / "words.npz")
    with lutra.connect(folder / "data") as database:
        Library.make(database, f"tfidf:{folder / 'words.npz'}").fill(sources_of(folder / "documents"))
    return folder / "data"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, embedder: TfidfEmbedder) -> Iterator[str]:
    """The page without a model."""
    data = filled(tmp_path_factory.mktemp("page"), embedder)
    with example_page("examples.assistant", ["serve", "--data", str(data), "--port", "0"], data.with_name("log")) as at:
        yield at


@dataclass
class Written:
    """A page whose answers a model writes."""

    address: str
    server: ChatServer
    log: Path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, embedder: TfidfEmbedder) -> Iterator[Written]:
    data = filled(tmp_path_factory.mktemp("written"), embedder)
    log = data.with_name("log")
    with ChatServer(Reply()) as server:
        environment = {
            "LUTRA_ASSISTANT_SERVE_DATA": str(data),
            "LUTRA_ASSISTANT_SERVE_PORT": "0",
            "LUTRA_CHAT_MODEL": "otter-1",
            "LUTRA_CHAT_URL": server.url,
            "OPENAI_API_KEY": KEY,
        }
        with example_page("examples.assistant", [], log, environment) as at:
            yield Written(at, server, log)


def test_a_question_without_scripts(address: str) -> None:
    visitor = visitor_of(address)
    answer = visitor.post("/ask", {"question": "What opens the mussels?"})
    assert answer.status == 303
    conversation = answer.headers["location"].partition("#")[0]
    page = visitor.get(conversation).html
    assert "A stone opens the mussels." in page
    assert "No model wrote this" in page
    assert 'href="/documents/documents/animals/otters.en.html?passage=1#passage-1"' in page

    # What the conversation is about goes on, and it is listed and deleted.
    assert visitor.post(f"{conversation}/ask", {"question": "And what do they eat?"}).status == 303
    assert visitor.get(conversation).html.count('<article class="message question"') == 2
    assert f'href="{conversation}"' in visitor.get("/").html
    deleted = visitor.post(f"{conversation}/delete", {})
    assert (deleted.status, deleted.headers["location"]) == (303, "/")
    assert visitor.get(conversation).status == 404
    assert f'href="{conversation}"' not in visitor.get("/").html
    assert visitor.post(f"{conversation}/ask", {"question": "Still there?"}).status == 404


def test_a_question_by_script(address: str) -> None:
    visitor = visitor_of(address)
    lines = answered(visitor, "What opens the mussels?", language="en", document="documents/animals/otters.en.html")
    assert [line["kind"] for line in lines] == ["begun", *["piece"] * (len(lines) - 2), "end"]
    assert "A stone opens the mussels." in "".join(line["text"] for line in lines[1:-1])
    end = lines[-1]
    assert end["title"] == "What opens the mussels?"
    assert f'href="/c/{end["conversation"]}"' in end["conversations"]
    assert end["messages"].count("<article") == 2
    assert "machines.md" not in end["messages"]
    nothing = answered(visitor, "What opens the mussels?", language="fr")
    assert "The documents have nothing on that." in nothing[-1]["messages"]


def test_what_comes_from_documents_is_escaped(address: str) -> None:
    visitor = visitor_of(address)
    end = answered(visitor, 'Pollution harms <b onclick="x">them</b> most, with "quotes"?')[-1]
    assert "<b onclick" not in end["messages"] + end["conversations"]
    assert "&lt;b onclick" in end["messages"]
    assert "&lt;img src=x onerror" in end["messages"]
    assert "&lt;script&gt;alert(1)" in end["messages"]
    assert "<img" not in end["messages"]
    page = visitor.get("/documents/documents/animals/otters.en.html?passage=3").html
    assert "<mark>&lt;img src=x onerror" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<mark>") == 1


def test_documents_are_listed_and_shown(address: str) -> None:
    visitor = visitor_of(address)
    page = visitor.get("/documents").html
    assert "5 documents in 11 passages" in page
    assert 'href="/documents/documents/rivers.pdf"' in page
    assert "broken.pdf" not in page
    page = visitor.get("/documents?after=documents/notes.txt").html
    assert 'href="/documents/documents/notes.txt"' not in page
    assert 'href="/documents/documents/rivers.pdf"' in page
    for wrong in ("?passage=x", "?passage=-1", "?passage=999999999999999999999", "?from=2", "?from=%D9%A3"):
        shown = visitor.get(f"/documents/documents/machines.md{wrong}")
        assert shown.status == 200, wrong
        assert "<mark>" not in shown.html
    for missing in (
        "/documents/nowhere",
        "/documents/..%2f..%2fetc%2fhosts",
        "/documents/" + "x" * 3_000,
        "/c/x",
        "/x",
    ):
        assert visitor.get(missing).status == 404, missing


def test_forms_are_checked(address: str) -> None:
    visitor = visitor_of(address)
    question = {"question": "Mussels?"}
    assert visitor.post("/ask", {"csrf_token": "forged", **question}).status == 403
    assert visitor.post("/ask", {"csrf_token": "", **question}).status == 403
    another = visitor_of(address)
    assert another.post("/ask", {"csrf_token": visitor.token, **question}).status == 403, "another visit's token"
    assert visitor.post("/ask", question, origin="http://evil.example").status == 403
    assert visitor.get("/", host="evil.example").status == 400, "no name of another site's leads here"
    refused = visitor.post("/ask", {"question": "  \n "})
    assert refused.status == 400
    assert "Type a question." in refused.html
    assert 'aria-invalid="true"' in refused.html
    refused = visitor.post("/ask", {"question": "x" * (QUESTION_CHARS_MAX + 1), "language": "en"})
    assert refused.status == 400
    assert "at most 2000 characters" in refused.html
    assert '<option value="en" selected>' in refused.html, "what was chosen is kept"
    refused = visitor.post("/ask", {"question": ""}, accept=LINES)
    assert (refused.status, refused.json()["message"]) == (400, "Type a question.")
    assert visitor.post("/ask", {"document": "x" * 2_000, **question}).status == 400
    assert visitor.post("/ask", {"more": "x" * 70_000, **question}).status == 413
    policy = visitor.get("/").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_so_many_are_answered_at_once(written: Written) -> None:
    server = written.server
    server.replies = [Reply(["A ", "stone."], holds_from=1)]
    server.released.clear()
    server.asked.clear()
    visitor = visitor_of(written.address)
    connections = [left(visitor, f"Mussels {number}?") for number in range(ANSWERS_AT_ONCE)]
    wait_until(lambda: len(server.asked) == ANSWERS_AT_ONCE)
    assert visitor.post("/ask", {"question": "One more?"}).status == 503
    for connection in connections:
        connection.close()
    server.released.set()
    # Whoever went away makes room, and finds what was said when coming back.
    wait_until(lambda: visitor.post("/ask", {"question": "And now?"}).status == 303)
    page = visitor.get("/").html
    conversations = re.findall(r'href="(/c/[^"]+)"[^>]*>Mussels \d\?</a>', page)
    assert len(conversations) == ANSWERS_AT_ONCE
    page = visitor.get(conversations[0]).html
    assert "A stone." in page or "The answer was broken off." in page


def test_all_texts_are_there_in_chinese() -> None:
    web = Path(chat.__file__).parent
    chinese = json.loads((web / "zh.json").read_text(encoding="utf-8"))
    used = {
        first or second
        for file in [*web.glob("*.py"), *web.glob("templates/*.html")]
        for first, second in re.findall(
            r"""(?:\b_|\btext)\((?:"([^"]*)"|'([^']*)')""", file.read_text(encoding="utf-8")
        )
    }
    used.add(chat._BROKEN_OFF)
    assert len(used) > 30
    console = {text for text in used - chinese.keys() if translate("zh", text) != text}
    assert used == chinese.keys() | console
    assert list(chinese) == sorted(chinese)
    for text, translated in chinese.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", translated)), text


def test_the_interface_is_chinese_too(address: str) -> None:
    visitor = visitor_of(address)
    page = visitor.get("/", **{"accept-language": "zh-CN,zh;q=0.9"}).html
    assert "向文档提问" in page
    assert "您的问题" in page
    kept = visitor.post("/preferences", {"lutra_language": "zh", "to": "/documents"})
    assert (kept.status, kept.headers["location"]) == (303, "/documents")
    assert '<html lang="zh"' in visitor.get("/documents").html


def test_a_conversation_in_a_browser(address: str) -> None:
    with chromium() as browser, page_of(browser, address, signed_in=False) as page:
        page.goto("/")
        assert_accessible(page)
        page.get_by_label("Your question").fill("What opens the mussels?")
        page.keyboard.press("Enter")
        page.locator(".message.answer .sources").wait_for()
        assert "A stone opens the mussels." in page.locator(".message.answer .text").inner_text()
        assert re.fullmatch(r"/c/[\w-]+", urlsplit(page.url).path)
        assert page.get_by_label("Your question").input_value() == ""
        assert page.locator("#status").inner_text() == "The answer is there."
        assert_accessible(page)

        # A follow-up, narrowed to one document.
        page.get_by_label("Document", exact=True).select_option("documents/animals/otters.en.html")
        page.get_by_label("Your question").fill("And how do they sleep?")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator(".message.answer .sources").nth(1).wait_for()
        answer = page.locator(".message.answer").nth(1)
        assert "hold hands" in answer.locator(".text").inner_text()
        assert {text.split(",")[0] for text in answer.locator(".sources li > .hint").all_inner_texts()} == {
            "documents/animals/otters.en.html"
        }

        # The source leads to its passage, which is marked.
        answer.locator("summary").first.click()
        assert answer.locator("blockquote").first.is_visible()
        answer.locator(".sources li.cited a", has_text="How they sleep").click()
        page.locator(".passage.chosen").wait_for()
        assert "hold hands" in page.locator("mark").inner_text()
        assert page.locator(".passage.chosen").evaluate("one => one === document.activeElement")
        assert_accessible(page)
        page.get_by_role("link", name="Documents").first.click()
        assert_accessible(page)

        # It is remembered, and deleted.
        page.goto("/")
        link = page.locator(".conversations a", has_text="What opens the mussels?").first
        link.click()
        assert page.locator(".message").count() == 4
        page.locator(".conversations li", has=page.locator("[aria-current]")).locator("summary").click()
        page.get_by_role("button", name="Delete this conversation").click()
        page.wait_for_url("**/")
        assert page.locator(".conversations [aria-current]").count() == 0


def test_a_model_writes_in_a_browser(written: Written) -> None:
    server = written.server
    server.replies = [Reply(["A ", "stone", " does [1]. <b>No</b> markup [7]."], holds_from=1)]
    server.released.clear()
    server.keys.clear()
    with chromium() as browser, page_of(browser, written.address, signed_in=False) as page:
        page.goto("/")
        page.get_by_label("Your question").fill("What opens the mussels?")
        page.keyboard.press("Enter")
        page.locator('.message.answer[aria-busy="true"] .text', has_text="A").wait_for()
        assert page.locator("[aria-busy] .text").inner_text().strip() == "A"
        server.released.set()
        page.locator(".message.answer .sources").wait_for()
        assert page.locator(".message.answer .text").inner_text() == "A stone does [1]. <b>No</b> markup [7]."
        assert page.locator(".message.answer .cite").all_inner_texts() == ["[1]"]
        assert "Written by otter-1" in page.locator(".message.answer").inner_text()
        page.locator(".cite").click()
        assert page.url.endswith("-s1")

        server.replies = [Reply(status=401, body=f"no {KEY}")]
        page.get_by_label("Your question").fill("And what do they eat?")
        page.keyboard.press("Enter")
        page.locator(".message.answer .notice.warn").wait_for()
        assert "answered 401" in page.locator(".notice.warn").inner_text()
        assert "crabs" in page.locator(".message.answer .text").nth(1).inner_text()
        assert KEY not in page.content()
    assert server.keys == [f"Bearer {KEY}"] * 2
    assert KEY not in written.log.read_text()
