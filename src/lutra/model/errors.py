"""Every error Lutra raises on purpose, with the code the Tablestore protocol gives it.

::

    LutraError
    ├── ParameterInvalid            OTSParameterInvalid            the request is wrong in itself
    │   ├── InvalidPrimaryKey       OTSInvalidPK                   the key does not fit the table
    │   ├── MetaNotMatch            OTSMetaNotMatch                no such search index
    │   ├── BatchTooLarge           OTSParameterInvalid            the rows of a batch take too much memory
    │   └── ForeignObjects          OTSParameterInvalid            the place of objects is another store's
    ├── RequestBodyTooLarge         OTSRequestBodyTooLarge
    ├── AuthFailed                  OTSAuthFailed
    ├── MethodNotAllowed            OTSMethodNotAllowed
    ├── UnsupportedOperation        OTSUnsupportOperation          the protocol has it, this server does not
    ├── ObjectNotExist              OTSObjectNotExist
    ├── TrimmedDataAccess           OTSTrimmedDataAccess           what a stream had there is gone
    ├── ObjectAlreadyExist          OTSObjectAlreadyExist
    ├── ConditionCheckFail          OTSConditionCheckFail
    ├── QuotaExhausted              OTSQuotaExhausted
    ├── OperationConflict           OTSRowOperationConflict
    ├── RequestTimeout              OTSRequestTimeout
    ├── OutcomeUnknown              OTSTimeout                     a write may have been done, or may not
    ├── SessionExpired              OTSSessionExpired              a scan has to be begun anew
    ├── SessionNotExist             OTSSessionNotExist             a local transaction has ended
    ├── SessionBusy                 OTSSessionBusy                 another request uses the local transaction
    ├── DataOutOfRange              OTSDataOutOfRange              rows of another partition key
    ├── TransactionTooLarge         OTSOutOfTransactionDataSizeLimit   it writes too much
    ├── ServerBusy                  OTSServerBusy                  over a limit of the moment: try again
    ├── Corruption                  OTSInternalServerError         stored bytes fail their checksum
    │   ├── IndexDamaged            OTSInternalServerError         objects of a search index; its table is whole
    │   └── RowDamaged              OTSInternalServerError         one row of a table; all others are whole
    ├── Fenced                      OTSInternalServerError         another writer has taken over: stop writing
    └── StorageFailure              OTSInternalServerError         the disk or the store refused
        ├── DirectoryInUse          OTSInternalServerError         somebody else has it open
        ├── ReadOnlyDatabase        OTSInternalServerError         it was opened to be read only
        ├── Outdated                OTSInternalServerError         what is read has been deleted since
        ├── PartitionUnopened       OTSInternalServerError         a node of a cluster cannot open what it owns
        ├── ForkedProcess           OTSInternalServerError         the database is the parent process's
        └── ObjectMissing           OTSInternalServerError         there is no object of that name

``code`` is the protocol's word; which HTTP status goes with it is the server's business.
"""

from __future__ import annotations

from typing import ClassVar


class LutraError(Exception):
    """Base of all deliberate errors. ``str(error)`` is for whoever has the data.

    A server's clients are told it as well, but of what failed inside only the kind (`lutra.server.protocol.errors`).
    """

    code: ClassVar[str] = "OTSInternalServerError"


class ParameterInvalid(LutraError):
    code = "OTSParameterInvalid"


class InvalidPrimaryKey(ParameterInvalid):
    code = "OTSInvalidPK"


class MetaNotMatch(ParameterInvalid):
    code = "OTSMetaNotMatch"


class BatchTooLarge(ParameterInvalid):
    """The rows of a batch before this one leave it no room: it was not written, and can be in the next."""


class ForeignObjects(ParameterInvalid):
    """Where objects were to be, another store's are. Says whose, and what to do; nothing was changed there."""


class RequestBodyTooLarge(LutraError):
    code = "OTSRequestBodyTooLarge"


class AuthFailed(LutraError):
    code = "OTSAuthFailed"


class MethodNotAllowed(LutraError):
    code = "OTSMethodNotAllowed"


class UnsupportedOperation(LutraError):
    code = "OTSUnsupportOperation"


class ObjectNotExist(LutraError):
    code = "OTSObjectNotExist"


class TrimmedDataAccess(LutraError):
    code = "OTSTrimmedDataAccess"

    def __init__(self) -> None:
        super().__init__("Requested stream data is already trimmed or does not exist.")


class ObjectAlreadyExist(LutraError):
    code = "OTSObjectAlreadyExist"


class ConditionCheckFail(LutraError):
    code = "OTSConditionCheckFail"

    def __init__(self, message: str = "Condition check failed.") -> None:
        super().__init__(message)


class QuotaExhausted(LutraError):
    code = "OTSQuotaExhausted"


class OperationConflict(LutraError):
    code = "OTSRowOperationConflict"


class RequestTimeout(LutraError):
    code = "OTSRequestTimeout"


class OutcomeUnknown(LutraError):
    """Who was to make a change did not answer. SDKs repeat reads on this code, writes only where they are told to."""

    code = "OTSTimeout"


class SessionExpired(LutraError):
    code = "OTSSessionExpired"

    def __init__(self) -> None:
        super().__init__("ScanQuery'session is expired, please retry ComputeSplitsRequest and ScanQuery.")


class SessionNotExist(LutraError):
    code = "OTSSessionNotExist"

    def __init__(self) -> None:
        super().__init__("Session not exist or may be timeout.")


class SessionBusy(LutraError):
    code = "OTSSessionBusy"

    def __init__(self) -> None:
        super().__init__("Another request is using the transaction.")


class DataOutOfRange(LutraError):
    code = "OTSDataOutOfRange"


class TransactionTooLarge(LutraError):
    code = "OTSOutOfTransactionDataSizeLimit"


class ServerBusy(LutraError):
    code = "OTSServerBusy"


class Corruption(LutraError):
    code = "OTSInternalServerError"


class IndexDamaged(Corruption):
    """Objects of a search index are lost or damaged, its table is whole. Tells clients which, and what to do."""


class RowDamaged(Corruption):
    """What is stored of one row of a table cannot be read. Says which, and what to do."""


class Fenced(LutraError):
    code = "OTSInternalServerError"


class StorageFailure(LutraError):
    code = "OTSInternalServerError"


class DirectoryInUse(StorageFailure):
    """Another process has the data directory open, or this one has it a second time."""


class ReadOnlyDatabase(StorageFailure):
    """A database that was opened with ``read_only=True`` was to be changed. Nothing has happened."""


class Outdated(StorageFailure):
    """What a read-only database shows has been deleted by who writes it: ``refresh`` shows what there is now."""


class PartitionUnopened(StorageFailure):
    """Who owns a partition of a cluster could not open it, several times, and goes on trying. Clients are told why."""


class ForkedProcess(StorageFailure):
    """This process was forked from the one that opened the database."""


class ObjectMissing(StorageFailure):
    code = "OTSInternalServerError"
