"""One request against the engine, from checked head and whole body to finished response. Synchronous, thread-safe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lutra.instance.doors import EngineDoor
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import AuthFailed, IndexDamaged, LutraError, ObjectNotExist, StorageFailure
from lutra.server.auth.gate import EXPLAIN, Admission, open_body
from lutra.server.http.responses import Responder, Response
from lutra.server.lanes.later import Later
from lutra.server.lanes.reply import Reply
from lutra.server.lanes.searches import Asides, IndexSearch, Searches
from lutra.server.observe.metrics import Metrics
from lutra.server.protocol.errors import INTERNAL_CODE, error_body, status_of, told
from lutra.server.protocol.operations import JSON_UNSERVED, Operation

logger = logging.getLogger(__name__)


class Service:
    """Carries out operations, and makes every response a client gets of the protocol."""

    def __init__(self, engine: EngineDoor, responder: Responder, metrics: Metrics, searches: Searches) -> None:
        self._engine = engine
        self._responder = responder
        self._metrics = metrics
        self._searches = searches

    def perform(
        self, operation: Operation, admission: Admission, body: bytes, request_id: str, deadline: Deadline
    ) -> Response | Later[Response]:
        """Carries out an operation by its deadline. Whatever goes wrong becomes a response; nothing is raised.

        What waited for a thread beyond its deadline is not begun. `Later`: what cannot go on yet.
        """

        def work() -> Reply | Later[Reply]:
            deadline.check()
            message = open_body(admission, body)
            try:
                instance = self._engine.instance(admission.instance)
            except ObjectNotExist:
                raise AuthFailed("The instance is not found.") from None
            target = admission.recall_target
            if target is not None and operation.handle_recall is not None:
                return operation.handle_recall(instance, message, target)
            handled = operation.handle(instance, message)
            if not isinstance(handled, IndexSearch):
                return handled
            asides = Asides(admission.explains, admission.is_fresh, target)
            return self._searches.begin(instance, replace(handled, asides=asides))

        return self._answered(work, operation, admission.signing_key, request_id, deadline)

    def _answered(
        self,
        work: Callable[[], Reply | Later[Reply]],
        operation: Operation,
        signing_key: bytes,
        request_id: str,
        deadline: Deadline,
    ) -> Response | Later[Response]:
        try:
            with working_for(deadline):
                reply = work()
        except LutraError as error:
            return self.refuse(error, operation.name, request_id, signing_key)
        except Exception as error:
            return self.fail(error, operation.name, request_id, signing_key)
        if not isinstance(reply, Later):
            self._metrics.of(operation.name).count_rows(reply)
            response = self._responder.respond(
                200, reply.body, request_id=request_id, operation=operation.name.encode(), signing_key=signing_key
            )
            if reply.explanation:
                response.headers.append((EXPLAIN, reply.explanation))
            return response
        later = reply

        def rest() -> Reply | Later[Reply]:
            if deadline.is_over:
                later.cancel()
                deadline.check()
            return later.resume()

        later_response = Later(partial(self._answered, rest, operation, signing_key, request_id, deadline), later.error)
        later_response.cancel = later.cancel
        later.when_ready(later_response.ready)
        return later_response

    def refuse(self, error: LutraError, name: str, request_id: str, signing_key: bytes | None) -> Response:
        """The response that tells of an error; ``name`` is the operation's, as the client wrote it."""
        if isinstance(error, IndexDamaged | StorageFailure):
            logger.error("request %s (%s) failed: %s", request_id, name, error)
        elif error.code == INTERNAL_CODE:
            return self.fail(error, name, request_id, signing_key)
        return self._error(error, name, request_id, signing_key)

    def fail(self, error: Exception, name: str, request_id: str, signing_key: bytes | None) -> Response:
        """The response where something failed inside: logged with the request's id, and told by its kind at most."""
        logger.error("request %s (%s) failed", request_id, name, exc_info=error)
        return self._error(error, name, request_id, signing_key)

    def _error(self, error: Exception, name: str, request_id: str, signing_key: bytes | None) -> Response:
        code, message = told(error)
        as_json = name in JSON_UNSERVED
        return self._responder.respond(
            status_of(code),
            error_body(code, message, as_json=as_json),
            request_id=request_id,
            operation=name.encode("utf-8", "replace"),
            signing_key=signing_key,
            code=code,
            as_json=as_json,
        )
