"""The assistant's commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.chat_server import KEY, ChatServer, Reply

from examples.assistant.cli import main
from lutra.embedding.tfidf import TfidfEmbedder


class Assistant:
    """Runs commands over one folder of data."""

    def __init__(self, folder: Path, model: str) -> None:
        self.documents, self.data, self.model = folder, folder.parent / "data", model

    def run(self, *arguments: str, typed: str = "", environment: dict[str, str] | None = None) -> Result:
        command, *rest = arguments
        return CliRunner().invoke(main, [command, "--data", str(self.data), *rest], input=typed, env=environment)

    def fill(self) -> Result:
        return self.run("fill", str(self.documents), "--model", self.model)


@pytest.fixture
def assistant(folder: Path, tmp_path: Path, embedder: TfidfEmbedder) -> Assistant:
    embedder.save(tmp_path / "words.npz")
    made = Assistant(folder, f"tfidf:{tmp_path / 'words.npz'}")
    assert made.fill().exit_code == 0
    return made


def test_filling_tells_what_it_did(assistant: Assistant) -> None:
    again = assistant.fill()
    assert again.exit_code == 0
    assert "0 documents new, 0 changed, 5 as before" in again.output.replace("\n", " ")
    assert "not read: documents/broken.pdf: it is no PDF" in again.output.replace("\n", " ")
    assert "1 files of other kinds passed over" in again.output
    missing = assistant.run("fill", str(assistant.documents / "nowhere"), "--model", assistant.model)
    assert (missing.exit_code, "is not there" in missing.output) == (1, True)
    whole = assistant.run("fill", str(assistant.documents), "--all", "--model", assistant.model)
    assert (whole.exit_code, "--all is of the default books" in whole.output) == (1, True)
    unknown = assistant.run("fill", str(assistant.documents), "--model", "nanoe6")
    assert (unknown.exit_code, "there is no model 'nanoe6'" in unknown.output) == (1, True)


def test_asking(assistant: Assistant) -> None:
    answer = assistant.run("ask", "What opens the mussels?")
    assert answer.exit_code == 0
    assert "A stone opens the mussels. [1]" in answer.output
    assert "[1] Otters › What they eat (documents/animals/otters.en.html)" in answer.output
    assert "no model wrote this" in answer.output
    narrowed = assistant.run("ask", "What opens the mussels?", "--document", "documents/machines.md")
    assert "mussels." not in narrowed.output
    assert "The documents have nothing on that." in assistant.run("ask", "Mussels?", "--language", "fr").output
    assert assistant.run("ask", "x" * 3_000).exit_code == 2
    with ChatServer(Reply(["A stone [1]."])) as server:
        options = ("--chat-model", "otter-1", "--chat-url", server.url)
        written = assistant.run("ask", "What opens the mussels?", *options, environment={"OPENAI_API_KEY": KEY})
        assert written.output.startswith("A stone [1].\n")
        assert "written by otter-1" in written.output
        assert server.keys == [f"Bearer {KEY}"]


def test_a_chat_goes_on_where_it_was(assistant: Assistant) -> None:
    begun = assistant.run("chat", typed="What opens the mussels?\nAnd how do otters sleep at sea?\n\n")
    assert begun.exit_code == 0, begun.output
    assert "hold hands" in begun.output
    match = re.search(r"\(conversation ([\w-]+)\)", begun.output)
    assert match is not None
    assert f"{match[1]}  " in assistant.run("chat", "--list").output
    resumed = assistant.run("chat", "--resume", match[1], typed="What floods the valley?")
    assert resumed.exit_code == 0, resumed.output
    assert "> What opens the mussels?" in resumed.output
    assert "Melting snow floods the valley." in resumed.output
    assert assistant.run("chat", "--delete", match[1]).exit_code == 0
    assert assistant.run("chat", "--list").output == ""
    gone = assistant.run("chat", "--resume", match[1])
    assert (gone.exit_code, "no such conversation" in gone.output) == (1, True)


def test_nothing_is_measured_without_the_books(assistant: Assistant) -> None:
    measured = assistant.run("measure", "--json")
    assert measured.exit_code == 1
    assert "run `python -m examples.assistant fill` without a folder first" in measured.output


def test_nothing_is_asked_before_documents_are_there(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["ask", "Otters?", "--data", str(tmp_path / "none")]).exit_code == 1
    listed = CliRunner().invoke(main, ["chat", "--data", str(tmp_path / "new")], input="Otters?\n")
    assert (listed.exit_code, "there are no documents yet" in listed.output) == (1, True)


@pytest.mark.slow
@pytest.mark.timeout(5_400)
def test_the_debian_books(tmp_path: Path) -> None:
    """Filled with the default documents, the assistant finds the known passages about as often as its README says."""
    data = str(tmp_path / "data")
    filled = CliRunner().invoke(main, ["fill", "--data", data])
    if filled.exit_code and "apt-get" in filled.output:
        pytest.skip(f"no packages of Debian: {filled.output[-500:]}")
    assert filled.exit_code == 0, filled.output
    measured = CliRunner().invoke(main, ["measure", "--json", "--data", data])
    assert measured.exit_code == 0, measured.output
    told = json.loads(measured.stdout)
    rates = {(rate["way"], rate["asked"]): (rate["hit_at_1"], rate["hit_at_5"]) for rate in told["rates"]}
    assert 1_200 < told["passages"] < 1_600
    for asked, at_1, at_5 in (("same", 0.55, 0.7), ("cross", 0.25, 0.7), ("all", 0.55, 0.7)):
        for place, least in enumerate((at_1, at_5)):
            assert rates["hybrid", asked][place] >= least, (asked, rates)
    assert rates["hybrid", "same"][0] > rates["vector", "same"][0] > rates["text", "same"][0]
    alone, with_before = "follow-up, alone", "follow-up, with the question before"
    assert rates[with_before, "same"][1] > rates[alone, "same"][1]
    again = CliRunner().invoke(main, ["fill", "--data", data])
    assert " 0 passages embedded" in again.output.replace("\n", " ")
