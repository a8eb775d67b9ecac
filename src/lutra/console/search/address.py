"""A search in a page's address: JSON, deflated and in base64 for addresses, or JSON as it stands.

A link that a person writes by hand, or a page without scripts, has the latter.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any, Final

from lutra.console.search import bounds
from lutra.console.search.faults import SpecInvalid, Wrong
from lutra.console.search.node import Node, read_json

_MARK: Final = "~"
"""Before what is deflated."""
_RAW: Final = -zlib.MAX_WBITS


def written(spec: dict[str, Any]) -> str:
    """A search as a parameter of an address."""
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
    deflate = zlib.compressobj(9, wbits=_RAW)
    data = deflate.compress(text.encode()) + deflate.flush()
    return _MARK + base64.urlsafe_b64encode(data).decode().rstrip("=")


def read(parameter: str) -> Any:
    """What `written` gave, or a text of JSON. Raises SpecInvalid."""
    try:
        value = read_json(_text(parameter))
        if not is_unicode(value):  # it could stand on no page
            raise Node(None).wrong("The text holds half a character.")
        return value
    except Wrong as wrong:
        raise SpecInvalid((wrong.fault,)) from None


def is_unicode(value: Any) -> bool:
    """Whether no text in a value of JSON has half a surrogate pair, as an escape may say it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(parameter: str) -> str:
    if len(parameter) > bounds.PARAMETER_CHARS_MAX:
        raise Node(None).wrong("The address is too long for a search.")
    if not parameter.startswith(_MARK):
        return parameter
    packed = parameter.removeprefix(_MARK)
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        inflate = zlib.decompressobj(_RAW)
        text = inflate.decompress(data, bounds.SPEC_BYTES_MAX)
        is_whole = inflate.eof and not inflate.unconsumed_tail
        if not is_whole:
            raise Node(None).wrong("The address holds no whole search.")
        return text.decode()
    except (ValueError, binascii.Error, zlib.error):
        raise Node(None).wrong("The address holds no whole search.") from None
