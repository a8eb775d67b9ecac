"""Reads the documentation of this Python's standard library; a script of its own, run in a process of its own.

Imports every public module there is. Those that act when they are imported (opening a browser, printing a poem) are
left out; whatever a module raises leaves out only that module.
Uses nothing but the standard library. Prints one JSON list of ``{"name", "module", "kind", "signature", "doc"}``, by
name; ``doc`` is the docstring, dedented.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
import sys
import types
from collections.abc import Iterator

# Act on import, are tests or tools, or are the private side of another module (posix is os, posixpath os.path).
SKIPPED = {
    "antigravity",
    "ensurepip",
    "genericpath",
    "idlelib",
    "lib2to3",
    "nt",
    "ntpath",
    "posix",
    "posixpath",
    "pyexpat",
    "test",
    "tests",
    "this",
    "turtledemo",
    "xxlimited",
    "xxlimited_35",
    "xxsubtype",
}
# One table of characters each, over and over.
WITHOUT_SUBMODULES = {"encodings"}
SIGNATURE_CHARS_MAX = 200
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def public_modules() -> dict[str, types.ModuleType]:
    """Every public module that can be imported here, by name."""
    modules: dict[str, types.ModuleType] = {}
    for name in sorted(sys.stdlib_module_names):
        if not name.startswith("_") and name not in SKIPPED:
            _import(name, modules)
    modules["os.path"] = sys.modules["os.path"]
    return modules


def _import(name: str, modules: dict[str, types.ModuleType]) -> None:
    try:
        module = importlib.import_module(name)
    except BaseException:  # even SystemExit: another system's modules raise what they like
        return
    modules[name] = module
    if name in WITHOUT_SUBMODULES:
        return
    for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
        if not found.name.startswith("_") and found.name not in SKIPPED:
            _import(f"{name}.{found.name}", modules)


def owners(modules: dict[str, types.ModuleType]) -> dict[int, tuple[str, str]]:
    """The module and name under which each public class and function is best known, by the object's id.

    ``asyncio.gather`` rather than ``asyncio.tasks.gather``, where it is written; ``io.BytesIO``, which says it is
    from ``_io``.
    """
    best: dict[int, tuple[tuple[int, int, str, str], str, str]] = {}
    for module_name, module in modules.items():
        exported = getattr(module, "__all__", None)
        for name in exported if isinstance(exported, list | tuple) else list(vars(module)):
            value = getattr(module, name, None)
            if name.startswith("_") or not (inspect.isclass(value) or inspect.isroutine(value)):
                continue
            home = getattr(value, "__module__", None) or ""
            if home.startswith(module_name + "."):
                closeness = 0
            elif home in (module_name, f"_{module_name}"):
                closeness = 1
            elif exported is not None and home not in modules:
                closeness = 2
            else:
                continue
            rank = (closeness, module_name.count("."), module_name, name)
            if id(value) not in best or rank < best[id(value)][0]:
                best[id(value)] = (rank, module_name, name)
    return {key: (module_name, name) for key, (_, module_name, name) in best.items()}


def entries(module_name: str, module: types.ModuleType, known: dict[int, tuple[str, str]]) -> Iterator[dict[str, str]]:
    """The module, its classes with their members, and its functions."""
    yield _entry(module_name, module_name, "module", "", module)
    for name, value in sorted(vars(module).items()):
        if known.get(id(value)) != (module_name, name):
            continue
        qualified = f"{module_name}.{name}"
        if inspect.isclass(value):
            yield from _class_entries(module_name, qualified, value)
        else:
            yield _entry(module_name, qualified, "function", _signature(value), value)


def _class_entries(module_name: str, qualified: str, class_: type) -> Iterator[dict[str, str]]:
    kind = "exception" if issubclass(class_, BaseException) else "class"
    yield _entry(module_name, qualified, kind, _signature(class_), class_)
    for name, value in sorted(vars(class_).items()):
        if name.startswith("_"):
            continue
        member = f"{qualified}.{name}"
        if isinstance(value, property) or inspect.isdatadescriptor(value):
            yield _entry(module_name, member, "property", "", value)
        elif inspect.isclass(value):
            if value.__qualname__ == f"{class_.__qualname__}.{name}":
                yield from _class_entries(module_name, member, value)
        elif inspect.isroutine(value) or isinstance(value, classmethod | staticmethod):
            method = getattr(class_, name, value)
            yield _entry(module_name, member, "method", _signature(method), method)


def _entry(module_name: str, qualified: str, kind: str, signature: str, value: object) -> dict[str, str]:
    try:
        doc = inspect.getdoc(value) or ""
    except Exception:  # a docstring can be a property that raises
        doc = ""
    return {"name": qualified, "module": module_name, "kind": kind, "signature": signature, "doc": _text(doc)}


class _Elided:
    """A default that is not shown: what is not a plain value may hold the environment, or differ from run to run."""

    def __repr__(self) -> str:
        return "..."


def _signature(value: object) -> str:
    try:
        signature = inspect.signature(value)  # type: ignore[arg-type]
        shown = [parameter.replace(default=_default(parameter.default)) for parameter in signature.parameters.values()]
        text = _text(str(signature.replace(parameters=shown)))
    except Exception:  # many C functions have none
        return ""
    return text if len(text) <= SIGNATURE_CHARS_MAX else text[: SIGNATURE_CHARS_MAX - 1] + "…"


def _default(value: object) -> object:
    plain = value is inspect.Parameter.empty or value is None or isinstance(value, bool | int | float | str | bytes)
    if isinstance(value, tuple):
        plain = all(_default(element) is element for element in value)
    of_this_machine = isinstance(value, str) and (sys.prefix in value or sys.base_prefix in value)
    return value if plain and not of_this_machine else _Elided()


def _text(text: str) -> str:
    """``text`` as valid Unicode, without the addresses that differ from run to run."""
    return _ADDRESS.sub("", text.encode(errors="replace").decode())


def main() -> None:
    # Whatever a module prints when it is imported goes nowhere; the answer has its own way out.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as out:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        modules = public_modules()
        known = owners(modules)
        found: dict[str, dict[str, str]] = {}
        for name, module in modules.items():
            for entry in entries(name, module, known):
                found.setdefault(entry["name"], entry)
        json.dump([found[name] for name in sorted(found)], out)


if __name__ == "__main__":
    main()
