"""The page: a form to ask by words, a picture or both, and cards of what was found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response

from examples.pictures.filling import thumbnail
from examples.pictures.gallery import CAPTIONS, WORDS_CHARS_MAX, Find, Gallery, Question, likely_names
from examples.pictures.uploads import Upload, Uploads
from examples.shared.site import Asked, Site
from lutra.embedding.picture_decoding import PictureRefused

UPLOAD_BYTES_MAX: Final = 16 << 20
SHOWN: Final = 24
SHOWN_MAX: Final = 240

_PACKAGE: Final = "examples.pictures"
_NAMES: Final = 5
_KEPT: Final = {"cache-control": "private, max-age=31536000, immutable"}
_LANGUAGE_NAMES: Final = {"en": "English", "zh_CN": "简体中文", "zh_TW": "繁體中文", "ja": "日本語", "fr": "Français"}


@dataclass(frozen=True, slots=True)
class Sample:
    """The picture that is asked by, as the page shows it. ``captions``: (language's tag, its name, caption)."""

    address: str
    title: str
    names: tuple[tuple[str, float], ...]
    captions: tuple[tuple[str, str, str], ...] = ()


class Pages:
    """Handlers of one gallery's pages."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._uploads = Uploads()

    def site(self) -> Site:
        """The application."""
        chinese = json.loads(files(_PACKAGE).joinpath("zh.json").read_text(encoding="utf-8"))
        site = Site(_PACKAGE, chinese=chinese, form_bytes_max=UPLOAD_BYTES_MAX)
        site.page("/", self.show)
        site.action("/ask", self.ask)
        site.page("/thumbnail/{digest}/{path:path}", self.thumbnail)
        site.page("/upload/{id}", self.upload)
        return site

    def show(self, asked: Asked) -> Response:
        """What a question in the address finds; without one, the first pictures."""
        return self._shown(asked, asked.query)

    def _shown(self, asked: Asked, query: Mapping[str, str], problem: str = "", status: int = 200) -> Response:
        words, folder = query.get("words", "").strip()[:WORDS_CHARS_MAX], query.get("folder", "")
        question, sample = self._question(asked, query, words, folder)
        limit = _whole(query.get("limit"), SHOWN, SHOWN_MAX)
        finds = self._gallery.search(question, limit)
        cards = [_card(find, asked.language, query) for find in finds.found]
        if asked.wants_json:
            shown = ("path", "folder", "caption", "score", "names")
            found = [{name: card[name] for name in shown} for card in cards]
            return asked.json({"took_ms": round(finds.took_ms, 1), "found": found})
        asks = bool(words or sample)
        return asked.render(
            "search.html",
            status,
            problem=problem,
            words=words,
            folder=folder,
            folders=self._gallery.folders(),
            sample=sample,
            kept={name: query[name] for name in ("like", "upload") if sample and query.get(name)},
            without=_address(query, like=None, upload=None),
            more=_address(query, limit=min(limit * 2, SHOWN_MAX)) if limit == len(cards) < SHOWN_MAX else None,
            cards=cards,
            asks=asks,
            took_ms=round(finds.took_ms),
            count=self._gallery.table.count(),
            upload_bytes_max=UPLOAD_BYTES_MAX,
            words_chars_max=WORDS_CHARS_MAX,
        )

    def ask(self, asked: Asked) -> Response:
        """Takes the form, and leads to the address that has its answer."""
        form = {name: str(asked.form.get(name) or "") for name in ("words", "folder", "like", "upload")}
        file = asked.form.get("picture")
        if isinstance(file, UploadFile) and file.size:
            try:
                id_ = self._uploads.keep(self._looked_at(file.file.read()))
            except PictureRefused as reason:
                problem = asked.text("This picture cannot be taken: {reason}.", reason=reason)
                return self._shown(asked, form, problem, 400)
            form.update(like="", upload=id_)
        return asked.redirect(_address(form))

    def thumbnail(self, asked: Asked) -> Response:
        """A picture of the collection; its address changes when the picture does."""
        path = asked.request.path_params["path"]
        row = self._gallery.row(path, ["thumbnail", "digest"])
        if row is None or row["digest"] != asked.request.path_params["digest"]:
            raise HTTPException(404)
        return Response(row["thumbnail"], 200, _KEPT, "image/webp")

    def upload(self, asked: Asked) -> Response:
        """A picture that was uploaded."""
        upload = self._uploads.find(asked.request.path_params["id"])
        if upload is None:
            raise HTTPException(404)
        return Response(upload.thumbnail, 200, _KEPT, "image/webp")

    def _looked_at(self, content: bytes) -> Upload:
        """Raises PictureRefused."""
        [sight] = self._gallery.pictures.look([content], _NAMES)
        if isinstance(sight, PictureRefused):
            raise sight
        return Upload(sight.vector, sight.names, thumbnail(content))

    def _question(
        self, asked: Asked, query: Mapping[str, str], words: str, folder: str
    ) -> tuple[Question, Sample | None]:
        """A picture that is not there any more is left out: the page shows that none is asked by."""
        path, id_ = query.get("like", ""), query.get("upload", "")
        if id_ and (upload := self._uploads.find(id_)) is not None:
            title = asked.text("Your picture")
            return Question(words, upload.vector, folder), Sample(f"/upload/{quote(id_)}", title, upload.names)
        row = self._gallery.row(path, [*CAPTIONS.values(), "picture", "likely", "digest"]) if path else None
        if row is None:
            return Question(words, None, folder), None
        captions = tuple(
            (language.replace("_", "-"), _LANGUAGE_NAMES[language], row[column])
            for language, column in CAPTIONS.items()
            if row.get(column)
        )
        sample = Sample(_thumbnail(path, row["digest"]), path, tuple(likely_names(row)), captions)
        return Question(words, row["picture"], folder, path), sample


def _card(find: Find, language: str, query: Mapping[str, str]) -> dict[str, Any]:
    row = find.row
    preferred = ("zh_CN", "zh_TW") if language == "zh" else ()
    chosen = next((one for one in preferred if row.get(CAPTIONS[one])), "en")
    return {
        "path": find.path,
        "folder": row["folder"],
        "name": find.path.rpartition("/")[2],
        "caption": row.get(CAPTIONS[chosen]) or "",
        "language": chosen.replace("_", "-"),
        "score": find.score,
        "names": likely_names(row),
        "address": _thumbnail(find.path, row["digest"]),
        "like": _address(query, like=find.path, upload=None, limit=None),
        "like_alone": _address({}, like=find.path),
    }


def _thumbnail(path: str, digest: str) -> str:
    return f"/thumbnail/{digest}/{quote(path)}"


def _address(query: Mapping[str, str], **changes: object) -> str:
    """The page's address with ``query``, changed; None leaves out."""
    known = ("words", "like", "upload", "folder", "limit")
    values = {**{name: query[name] for name in known if name in query}, **changes}
    parts = {name: value for name, value in values.items() if value not in (None, "")}
    return f"/?{urlencode(parts)}" if parts else "/"


def _whole(text: str | None, default: int, most: int) -> int:
    return min(max(int(text), 1), most) if text and text.isdecimal() and len(text) < 10 else default
