"""The default documents: two books of the Debian project, each in English and Chinese, from its packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from examples.assistant.sources import Source
from examples.shared.debian import package_root

CHAPTERS: Final = ("ch02", "ch03", "ch04", "ch05", "ch08")
"""Of the Debian Reference: packages, start-up, accounts, networks, languages."""


@dataclass(frozen=True, slots=True)
class Edition:
    """A book in one language: its package, the folder of its pages, how their names end, which are read at first."""

    package: str
    folder: str
    suffix: str
    chapters: tuple[str, ...] = ()

    def sources(self, root: Path, whole: bool) -> list[Source]:
        chosen = self.chapters if self.chapters and not whole else ("",)
        pages = sorted((root / self.folder).glob("*" + self.suffix))
        return [
            Source(f"{self.package}/{page.name}", page)
            for page in pages
            if page.name.startswith(chosen) and not page.name.startswith("index.")  # contents, which say nothing more
        ]


EDITIONS: Final = (
    Edition("debian-faq", "usr/share/doc/debian/FAQ", ".en.html"),
    Edition("debian-faq-zh-cn", "usr/share/doc/debian/FAQ/zh-cn", ".zh-cn.html"),
    Edition("debian-reference-en", "usr/share/debian-reference", ".en.html", CHAPTERS),
    Edition("debian-reference-zh-cn", "usr/share/debian-reference", ".zh-cn.html", CHAPTERS),
)


def debian_books(folder: Path, whole: bool, told: Callable[[str], object]) -> list[Source]:
    """The books' pages, unpacked below ``folder`` where their packages are not installed; ``whole``: all chapters.

    ``told`` is called before a package is fetched. Raises PackageUnavailable.
    """
    found: list[Source] = []
    for edition in EDITIONS:
        root = package_root(edition.package, edition.folder, folder, (".html",), told)
        found += edition.sources(root, whole)
    return found
