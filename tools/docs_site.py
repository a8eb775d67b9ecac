"""Makes a site of what GitHub shows as it is: hooks of mkdocs for ``mkdocs.yml``.

Documents link to each other and to files of the repository, and GitHub follows such links. A site has pages alone. So
each file that a document links to becomes a page of its own, and links lead there; the notebook, the changelog and how
to contribute, which lie elsewhere, become pages, and so do those of examples; a folder of the navigation is all of its
pages.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
_SOURCE: Final = "source"
"""The folder of the site where pages of the repository's files are."""
_EXAMPLES: Final = {
    path.relative_to(ROOT).as_posix(): f"examples/{path.parent.name}.md"
    for path in sorted(ROOT.glob("examples/*/README.md"))
}
_WRITTEN: Final = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "packaging/README.md": "packages.md",
} | _EXAMPLES
"""Documents outside of ``docs``, and where the site has them."""
_ELSEWHERE: Final = _WRITTEN | {"README.md": "index.md", "examples/lutra.ipynb": "notebook.md"}
"""Where the site has what lies outside of ``docs``."""
_PICTURES: Final = {".png", ".jpg", ".svg", ".webp"}
_SEARCH: Final = 'data-md-component="search" role="dialog"'
_LANGUAGES: Final = {".py": "python", ".toml": "toml", ".sh": "sh", ".cpp": "cpp", ".yml": "yaml", ".java": "java"}
_LINK: Final = re.compile(r"(?<=\]\()(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
_FENCE: Final = re.compile(r"^ *(`{3,}|~{3,})")
_ITEM: Final = re.compile(r"^([-*+]|\d+\.) ")
_URL: Final = re.compile(r"^[a-z]+:", re.IGNORECASE)


# --- what mkdocs calls ------------------------------------------------------------------------------------------------


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the pages of a folder where the navigation names it."""
    if config.nav is not None:
        config.nav = [_expanded(entry) for entry in config.nav]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made of other things than files of ``docs``."""
    logging.getLogger("jieba").setLevel(logging.WARNING)  # it tells how long its dictionary took
    for name, uri in _WRITTEN.items():
        _add(files, config, uri, (ROOT / name).read_text())
    for uri, content in notebook_pages(ROOT / "examples" / "lutra.ipynb"):
        _add(files, config, uri, content)
    for folder in _folders_without_a_page():
        _add(files, config, f"{folder}/index.md", _index_of(folder))
    linked = {path for page in _pages() for path in _outside(page)}
    for path in sorted(linked):
        content = path.read_bytes() if path.suffix in _PICTURES else _source_page(path)
        _add(files, config, _uri_of(path), content, hidden=True)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page as Python-Markdown and the site want it."""
    of = _repository_path(page.file.src_uri)
    return blank_lines_added(links_rewritten(markdown, of, page.file.src_uri))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """The page with a name for the theme's search, which readers of screens would call a dialogue."""
    return output.replace(_SEARCH, f'{_SEARCH} aria-label="Search"', 1)


# --- navigation -------------------------------------------------------------------------------------------------------


def _expanded(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {title: _expanded_value(value) for title, value in entry.items()}
    return entry


def _expanded_value(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("/"):
        return pages_of(value.rstrip("/"))
    if isinstance(value, list):
        return [_expanded(entry) for entry in value]
    return value


def pages_of(folder: str) -> list[str]:
    """The pages of a folder of ``docs``: the first, those that it links to in that order, then others by name.

    Of ``examples``: those of the programs there.
    """
    if folder == "examples":
        return list(_EXAMPLES.values())
    names = sorted(path.name for path in (DOCS / folder).glob("*.md"))
    first = "README.md" if "README.md" in names else "index.md"
    text = (DOCS / folder / first).read_text() if first in names else ""
    linked = [match["target"] for match in _LINK.finditer(text) if match["target"] in names]
    ordered = dict.fromkeys([first, *linked, *names])
    return [f"{folder}/{name}" for name in ordered]


def _folders_without_a_page() -> list[str]:
    folders = {path.parent for path in DOCS.rglob("*.md")} - {DOCS}
    named = [one for one in folders if not (one / "README.md").exists() and not (one / "index.md").exists()]
    return sorted(one.relative_to(DOCS).as_posix() for one in named)


def _index_of(folder: str) -> str:
    """A page that lists the pages of a folder by their titles."""
    pages = sorted((DOCS / folder).glob("*.md"))
    titles = {page.name: page.read_text().partition("\n")[0].removeprefix("# ") for page in pages}
    lines = [f"- [{title}]({name})" for name, title in titles.items()]
    heading = f"{PurePosixPath(folder).name.capitalize()} notes"
    return "\n".join([f"# {heading}", "", *lines, ""])


# --- links ------------------------------------------------------------------------------------------------------------


def links_rewritten(markdown: str, of: Path, uri: str) -> str:
    """``markdown`` of the file ``of``, which is page ``uri`` of the site, with links that hold there."""

    def rewritten(match: re.Match[str]) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        found = _target(of, target)
        if found is None:
            return match[0]
        return _relative(_uri_of(found), uri) + ("" if _uri_of(found).startswith(f"{_SOURCE}/") else anchor)

    return "\n".join(line if is_code else _LINK.sub(rewritten, line) for line, is_code in _lines(markdown))


def _target(of: Path, target: str) -> Path | None:
    """The file or folder of the repository that a link of ``of`` leads to; None for what is none."""
    if _URL.match(target) or target.startswith("/"):
        return None
    path = (of.parent / target).resolve()
    return path if path.is_relative_to(ROOT) and path.exists() else None


def _uri_of(path: Path) -> str:
    """Where the site has a file or folder of the repository."""
    name = path.relative_to(ROOT).as_posix()
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    if path.is_relative_to(DOCS):
        inside = path.relative_to(DOCS).as_posix()
        if not path.is_dir():
            return inside
        first = "README.md" if (path / "README.md").exists() else "index.md"
        return first if inside == "." else f"{inside}/{first}"
    if path.suffix in _PICTURES:
        return f"{_SOURCE}/{name}"
    return f"{_SOURCE}/{name}/index.md" if path.is_dir() else f"{_SOURCE}/{name}.md"


def _repository_path(uri: str) -> Path:
    """The file of the repository that a page of the site is made of, or would lie beside."""
    elsewhere = {site: ROOT / name for name, site in _ELSEWHERE.items() if site != "index.md"}
    return elsewhere.get(uri, DOCS / uri)


def _relative(uri: str, of: str) -> str:
    """``uri`` as page ``of`` links to it."""
    up = len(PurePosixPath(of).parent.parts)
    return "../" * up + uri


def _outside(page: Path) -> Iterator[Path]:
    """What a document links to that is no page of the site by itself."""
    for line, is_code in _lines(page.read_text()):
        for match in () if is_code else _LINK.finditer(line):
            found = _target(page, match["target"])
            if found is not None and _uri_of(found).startswith(f"{_SOURCE}/"):
                yield found


def _pages() -> list[Path]:
    """The documents that pages are made of."""
    return [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in _WRITTEN)]


# --- pages made of other things ---------------------------------------------------------------------------------------


def _source_page(path: Path) -> str:
    """A file of the repository, or what a folder of it holds, as a page that searches do not find."""
    name = path.relative_to(ROOT).as_posix()
    head = f"---\nsearch:\n  exclude: true\n---\n# {name}\n\n"
    if path.is_dir():
        names = sorted(one.name + "/" * one.is_dir() for one in path.iterdir() if not one.name.startswith(("_", ".")))
        return head + "\n".join(f"- `{one}`" for one in names) + "\n"
    return f"{head}`````{_LANGUAGES.get(path.suffix, 'text')}\n{path.read_text()}\n`````\n"


def notebook_pages(path: Path) -> list[tuple[str, str | bytes]]:
    """The page of a notebook with what its cells show, and its pictures, by where the site has them."""
    pictures: list[tuple[str, str | bytes]] = []
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                pictures.append((f"notebook/{len(pictures) + 1}.png", base64.b64decode(data["image/png"])))
                parts.append(f"![What the cell above shows]({pictures[-1][0]})")
            else:
                text = "".join(output.get("text") or data.get("text/plain", ())).rstrip("\n")
                parts.append(f"```text\n{text}\n```")
    return [(_ELSEWHERE[path.relative_to(ROOT).as_posix()], "\n\n".join(parts) + "\n"), *pictures]


def _add(files: Files, config: MkDocsConfig, uri: str, content: str | bytes, *, hidden: bool = False) -> None:
    inclusion = InclusionLevel.NOT_IN_NAV if hidden else InclusionLevel.UNDEFINED
    files.append(File.generated(config, uri, content=content, inclusion=inclusion))


# --- Markdown ---------------------------------------------------------------------------------------------------------


def blank_lines_added(markdown: str) -> str:
    """``markdown`` with an empty line before lists and tables: GitHub sees them without, Python-Markdown does not."""
    result: list[str] = []
    for line, is_code in _lines(markdown):
        before = result[-1] if result else ""
        if not is_code and before.strip() and _begins_a_block(line, before):
            result.append("")
        result.append(line)
    return "\n".join(result)


def _begins_a_block(line: str, before: str) -> bool:
    if _ITEM.match(line):
        return not _ITEM.match(before) and not before.startswith(" ")
    return line.startswith("|") and not before.startswith("|")


def _lines(markdown: str) -> Iterable[tuple[str, bool]]:
    """Each line, and whether it is code, fences included."""
    fence: str | None = None
    for line in markdown.split("\n"):
        found = _FENCE.match(line)
        if fence is None:
            fence = found[1] if found else None
            yield line, found is not None
        else:
            yield line, True
            if found and found[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = None
