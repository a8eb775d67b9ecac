"""Errors as a client sees them: which HTTP status goes with which code, and bodies in protobuf or JSON.

A status decides whether SDKs try again: what the client did wrong is never a 5xx.
"""

from __future__ import annotations

import json

from lutra.model.errors import LutraError
from lutra.server.wire import error_pb2 as wire

INTERNAL_CODE = "OTSInternalServerError"
INTERNAL_MESSAGE = "Internal server error."

_STATUSES = {
    "OTSParameterInvalid": 400,
    "OTSInvalidPK": 400,
    "OTSMetaNotMatch": 400,
    "OTSUnsupportOperation": 400,
    "OTSAuthFailed": 403,
    "OTSConditionCheckFail": 403,
    "OTSQuotaExhausted": 403,
    "OTSObjectNotExist": 404,
    "OTSMethodNotAllowed": 405,
    "OTSRequestTimeout": 408,
    "OTSObjectAlreadyExist": 409,
    "OTSRowOperationConflict": 409,
    "OTSRequestBodyTooLarge": 413,
    INTERNAL_CODE: 500,
    "OTSServerBusy": 503,
}


def status_of(error: LutraError) -> int:
    """The HTTP status of a deliberate error."""
    return _STATUSES.get(error.code, 500)


def error_body(code: str, message: str, *, as_json: bool) -> bytes:
    """The body of a response that is not 2xx; JSON for the operations whose messages are JSON."""
    if as_json:
        return json.dumps({"code": code, "message": message}, ensure_ascii=False).encode()
    return wire.Error(code=code, message=_encodable(message)).SerializeToString()


def _encodable(message: str) -> str:
    """``message`` with what UTF-8 cannot hold replaced: error texts may quote what a client sent."""
    return message.encode("utf-8", "replace").decode()
