"""Middleware for every request: limits its body and time, counts it and logs it.

Plain ASGI: Starlette's own middleware class hides a client's disconnection from handlers.
"""

import asyncio
import json
import time
import traceback

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nmt.errors import shorten, shown
from nmt.log import log
from nmt.serving.service import CLOSED, RefusedError, Service, too_long

_DRAINED = 2**26  # bytes of a body that are read and dropped, so that the client reads the answer


class Guard:
    """Middleware for all requests.

    Args:
        app: the application that handles them.
        service: limits and counters.
    """

    def __init__(self, app: ASGIApp, service: Service):
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def counted_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            body = await self._read_body(scope, receive)
            started = time.perf_counter()
            await self._app(scope, _replay(body, receive), counted_send)
        except RefusedError as refused:
            answer = {"error": refused.detail}
            await JSONResponse(answer, refused.status_code)(scope, receive, counted_send)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            problem = shorten(f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})")
            log.error("%s %s failed: %s", scope["method"], shown(scope["path"]), problem)
            if not status:
                answer = {"error": "the server failed; its log shows where"}
                await JSONResponse(answer, 500)(scope, receive, counted_send)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size, most = 0, self._service.options.max_bytes
        try:
            async with asyncio.timeout(self._service.options.time_limit):
                async for part in Request(scope, receive).stream():
                    size += len(part)
                    if size <= most:
                        parts.append(part)
                    if size > _DRAINED:
                        break
        except ClientDisconnect:
            raise RefusedError(CLOSED, "the client left") from None
        except TimeoutError:
            raise RefusedError(408, "the request did not arrive in time") from None
        if size > most:
            raise RefusedError(400, too_long(size, most))
        return b"".join(parts)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        path = getattr(scope.get("route"), "path", "other")
        self._service.counters.requests.labels(path, status).inc()
        self._service.counters.seconds.labels(path).observe(seconds)
        texts = scope.get("nmt.texts", [])
        quoted = ""
        if texts and self._service.options.log_texts:
            quoted = f": {json.dumps(texts, ensure_ascii=False)}"  # in one line
        log.info(
            "%s %s %d, %d texts, %.0f ms%s",
            *(scope["method"], path, status, len(texts), 1000 * seconds, quoted),
        )


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that first returns the whole body."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
