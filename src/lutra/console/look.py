"""How pages look: templates, their filters and texts. For the console, and for applications that look like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from lutra.console import shown
from lutra.console.assets import Assets
from lutra.console.languages import LANGUAGES, translate

THEMES: Final = ("auto", "light", "dark")
PACKAGE: Final = "lutra.console"
"""Whose ``templates`` and ``static`` these are."""


class Look:
    """Templates in the console's style.

    ``prefix`` is the path of the application; its ``assets`` are served below ``{prefix}/static``. ``loader`` has
    templates beside the console's, which may extend its ``base.html``; ``navigation`` gives the entries of the main
    menu, label and address, for the page that is rendered.
    """

    def __init__(
        self,
        prefix: str,
        *,
        loader: BaseLoader | None = None,
        translated: Callable[..., str] = translate,
        **globals_: Any,
    ) -> None:
        self.prefix = prefix
        self.assets = Assets(PACKAGE)
        own = PackageLoader(PACKAGE, "templates")
        self.environment = Environment(
            loader=own if loader is None else ChoiceLoader([loader, own]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters.update(
            number=shown.number, bytes=shown.size, moment=shown.moment, ago=pass_context(_ago)
        )
        self.environment.globals.update(
            _=pass_context(partial(_text, translated)),
            static=self._static,
            csrf_field=pass_context(_csrf_field),
            languages=LANGUAGES,
            themes=THEMES,
            prefix=prefix,
            **globals_,
        )

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """The page. ``context`` has at least ``language``, ``theme``, ``csrf_token`` and ``signed_in``."""
        return self.environment.get_template(template).render(context)

    def _static(self, name: str) -> str:
        return f"{self.prefix}/static/{self.assets.version}/{name}"


def _text(translated: Callable[..., str], context: Context, message: str, **values: object) -> str | Markup:
    """The text in the page's language. Values are escaped where any of them is markup."""
    if any(hasattr(value, "__html__") for value in values.values()):
        return Markup(escape(translated(context["language"], message))).format(**values)
    return translated(context["language"], message, **values)


def _ago(context: Context, time_us: int) -> str:
    return shown.ago(time_us, context["language"])


def _csrf_field(context: Context) -> Markup:
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(context["csrf_token"])
