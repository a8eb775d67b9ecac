"""The key and fields of a table as files and commands tell them, from which the same table can be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from lutra.instance.field import FieldDeclaration
from lutra.instance.layout import KeyDeclaration
from lutra.model.errors import ParameterInvalid
from lutra.model.values import AUTO_INCREMENT
from lutra.transfer.field_types import declaration_as_json, declaration_of_json, type_text

_KEYS: Final[dict[str, KeyDeclaration]] = {
    "keyword": str,
    "int": int,
    "bytes": bytes,
    "auto_increment": AUTO_INCREMENT,
}


@dataclass(frozen=True, slots=True)
class TableDeclaration:
    """What `lutra.Database.create_table` takes."""

    key: Mapping[str, KeyDeclaration]
    fields: Mapping[str, FieldDeclaration]

    def as_json(self) -> dict[str, Any]:
        return {
            "key": {name: type_text(declaration) for name, declaration in self.key.items()},
            "fields": {name: declaration_as_json(declaration) for name, declaration in self.fields.items()},
        }

    @classmethod
    def of_json(cls, content: object) -> TableDeclaration:
        """Raises ParameterInvalid for what `as_json` does not give."""
        match content:
            case {"key": Mapping() as key, "fields": Mapping() as fields}:
                keys = {str(name): _KEYS.get(cast("str", type_)) for name, type_ in key.items()}
                if not keys or None in keys.values():
                    raise ParameterInvalid(f"a key is of {', '.join(_KEYS)}, not {dict(key)}")
                declared = {str(name): declaration_of_json(of) for name, of in fields.items()}
                return cls(cast("dict[str, KeyDeclaration]", keys), declared)
        raise ParameterInvalid('a table is declared by {"key": {...}, "fields": {...}}')
