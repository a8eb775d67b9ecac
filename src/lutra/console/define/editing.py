"""A form of rows that are added and removed: by a script, which asks for its next state, or by buttons that send it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from lutra.console.define.entered import Entered, with_row, without_row
from lutra.console.define.index_form import NEW_FIELD
from lutra.console.define.table_form import NEW_ROWS
from lutra.console.request import ConsoleRequest

_LIST: Final = re.compile(r"(?:index\.)?(?:fields(?:\.\d{1,5}\.fields)*|sort)|key|defined|secondary")
_ROW: Final = re.compile(rf"(?P<list>{_LIST.pattern})\.\d{{1,5}}")
_OTHERS: Final = frozenset({"csrf_token", "do"})
_DONE: Final = frozenset({"create", "alter"})
_NEW_ROWS: Final[Mapping[str, Mapping[str, str]]] = {**NEW_ROWS, "fields": NEW_FIELD, "sort": {"field": ""}}


class Edit:
    """What a form is asked for: ``do`` is ``add:LIST``, ``remove:LIST.NUMBER``, ``show``, ``code``, or what is to be
    done in the end."""

    def __init__(self, asked: ConsoleRequest) -> None:
        self.do = str(asked.form.get("do", ""))
        posted = Entered.of_form(asked.form.multi_items(), asked.text)
        values: Mapping[str, str] = {name: value for name, value in posted.values.items() if name not in _OTHERS}
        self.focus: str | None = None
        """The id of the element that is to have the focus, where a script shows what came of it."""
        verb, _, path = self.do.partition(":")
        if verb == "add" and _LIST.fullmatch(path):
            values, number = with_row(values, path, _NEW_ROWS[path.rpartition(".")[2]])
            first = "field" if path.endswith("sort") else "name"
            self.focus = Entered(values, asked.text, f"{path}.{number}").id(first)
        elif verb == "remove" and (found := _ROW.fullmatch(path)):
            values = without_row(values, path)
            self.focus = Entered(values, asked.text).id(f"{found['list']}.add")
        self.entered = Entered(values, asked.text)

    @property
    def is_reshaping(self) -> bool:
        """Whether the form is only to be shown, with other rows, or other options of what was chosen."""
        return self.do not in _DONE and not self.is_sketch

    @property
    def is_sketch(self) -> bool:
        """Whether only the code of what is entered is asked for."""
        return self.do == "code"
