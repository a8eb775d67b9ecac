"""Errors as a client sees them: which HTTP status goes with which code, and bodies in protobuf or JSON.

A status decides whether SDKs try again: what the client did wrong is never a 5xx, nor is what stays as it is until
somebody sees to the server, such as a full disk. What failed inside is told by its kind and the system's word for it;
paths, addresses and what others answered are for the log.
"""

from __future__ import annotations

import json

from lutra.model.errors import Corruption, Fenced, IndexDamaged, LutraError, PartitionUnopened, StorageFailure
from lutra.model.system_words import FULL, system_word
from lutra.server.wire import error_pb2 as wire

INTERNAL_CODE = "OTSInternalServerError"
INTERNAL_MESSAGE = "Internal server error."

_STATUSES = {
    "OTSParameterInvalid": 400,
    "OTSInvalidPK": 400,
    "OTSMetaNotMatch": 400,
    "OTSUnsupportOperation": 400,
    "OTSSessionExpired": 400,
    "OTSDataOutOfRange": 400,
    "OTSOutOfTransactionDataSizeLimit": 400,
    "OTSAuthFailed": 403,
    "OTSConditionCheckFail": 403,
    "OTSQuotaExhausted": 403,
    "OTSObjectNotExist": 404,
    "OTSSessionNotExist": 404,
    "OTSTrimmedDataAccess": 404,
    "OTSMethodNotAllowed": 405,
    "OTSRequestTimeout": 408,
    "OTSObjectAlreadyExist": 409,
    "OTSRowOperationConflict": 409,
    "OTSSessionBusy": 409,
    "OTSRequestBodyTooLarge": 413,
    INTERNAL_CODE: 500,
    "OTSServerBusy": 503,
    "OTSTimeout": 503,
}


_FULL_CODE = "OTSQuotaExhausted"


def told(error: Exception) -> tuple[str, str]:
    """Code and text of what a client is told of ``error``."""
    if isinstance(error, IndexDamaged):
        return error.code, str(error)
    if isinstance(error, Corruption):
        return error.code, "Stored data is damaged: the server's log says where, `lutra fsck` tells all that is."
    if isinstance(error, Fenced):
        return error.code, "The search index was taken over by another process that uses the same store of objects."
    if isinstance(error, PartitionUnopened):
        return _FULL_CODE if system_word(str(error)) in FULL else error.code, str(error)
    if isinstance(error, StorageFailure):
        return _told_of_storage(str(error))
    if isinstance(error, LutraError) and error.code != INTERNAL_CODE:
        return error.code, str(error)
    return INTERNAL_CODE, INTERNAL_MESSAGE


def _told_of_storage(text: str) -> tuple[str, str]:
    word = system_word(text)
    if word in FULL:
        return _FULL_CODE, (
            f"The server's disk is full ({word}): it writes nothing more until there is room, and where that does not "
            "help, until it is started again."
        )
    known = f": {word}" if word else ""
    return INTERNAL_CODE, f"The server cannot use its disk or its store of objects{known}. Its log says more."


def status_of(code: str) -> int:
    """The HTTP status that goes with a code."""
    return _STATUSES.get(code, 500)


def error_body(code: str, message: str, *, as_json: bool) -> bytes:
    """The body of a response that is not 2xx; JSON for the operations whose messages are JSON."""
    if as_json:
        return json.dumps({"code": code, "message": message}, ensure_ascii=False).encode()
    return wire.Error(code=code, message=_encodable(message)).SerializeToString()


def _encodable(message: str) -> str:
    """``message`` with what UTF-8 cannot hold replaced: error texts may quote what a client sent."""
    return message.encode("utf-8", "replace").decode()
