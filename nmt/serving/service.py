"""The state that all endpoints share: settings, models, queue and error responses."""

import asyncio
import hmac
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request

from nmt.errors import NmtError, shorten
from nmt.serving.batcher import Batcher, FullError, Run
from nmt.serving.counters import Counters
from nmt.serving.limits import ServeOptions
from nmt.serving.served import Models, ServedModel

CLOSED = 499
"""Status in log and metrics of a request whose client left; the number is nginx's."""


class ErrorAnswer(BaseModel):
    """The reason why a request was refused or failed."""

    error: str


ERRORS: dict[int | str, dict[str, Any]] = {key: {"model": ErrorAnswer} for key in ("4XX", "5XX")}
"""Every endpoint's answers that are no success, for OpenAPI."""


class RefusedError(HTTPException):
    """A refused request, answered with an HTTP error.

    Args:
        status: of HTTP.
        message: one line, for people.
        headers: of the answer.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None):
        super().__init__(status, shorten(message), headers)


class Service:
    """Models, queue and counters of one server.

    Args:
        models: the models to serve.
        options: limits, keys and reloading.
    """

    def __init__(self, models: Models, options: ServeOptions):
        self.models, self.options = models, options
        self.counters = counters = Counters()
        self.batcher = Batcher(options.max_queue, observe=counters.batch)
        counters.queue.set_function(lambda: self.batcher.waiting)
        for model in models.models:
            counters.reloads.labels(model.name).set_function(partial(getattr, model, "reloads"))
        if options.reload:
            models.watch(options.reload)

    def close(self) -> None:
        """Finish accepted work, and stop the threads."""
        self.models.stop()
        self.batcher.close()

    def check_key(self, key: object) -> None:
        """Refuse a wrong or missing API key as LibreTranslate does."""
        if not self.options.keys:
            return
        if not key:
            raise RefusedError(400, "Please contact the server operator to get an API key")
        given = key if isinstance(key, bytes) else str(key).encode("utf-8", "surrogatepass")
        if not any([hmac.compare_digest(given, one.encode()) for one in self.options.keys]):
            raise RefusedError(403, "Invalid API key")

    def check_size(self, texts: Sequence[str]) -> None:
        """Refuse texts that are too long or not valid Unicode."""
        characters, most = sum(map(len, texts)), self.options.max_characters
        if characters > most:
            raise RefusedError(400, too_long(characters, most))
        for text in texts:
            if not text.isascii() and any("\ud800" <= one <= "\udfff" for one in text):
                raise RefusedError(400, "Invalid request: a text is no valid Unicode")

    async def work(
        self, request: Request, model: ServedModel, run: Run, items: Sequence[Any]
    ) -> list[Any]:
        """Run work in a batch, and drop it if the client disconnects.

        Args:
            request: its body was read.
            model: for the counters.
            run: see `Batcher.submit`.
            items: lines; there may be none.

        Raises:
            RefusedError: full queue (429), timeout (503), or failed work (400 or 500).
        """
        if not items:
            return []
        if len(items) > self.options.max_queue:
            raise RefusedError(400, too_long(len(items), self.options.max_queue))
        try:
            future = self.batcher.submit(run, items)
        except FullError as full:
            wait = {"Retry-After": str(max(1, math.ceil(full.seconds)))}
            raise RefusedError(429, "Slowdown: the queue is full", wait) from None
        self.counters.lines.labels(model.name).inc(len(items))
        work, gone = asyncio.wrap_future(future), asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait(
                (work, gone), timeout=self.options.time_limit, return_when=asyncio.FIRST_COMPLETED
            )
            if work.done():
                return work.result()
        except NmtError as error:
            raise RefusedError(400 if error.exit_code == 2 else 500, str(error)) from None
        finally:
            gone.cancel()
            work.cancel()
        if gone.done():
            raise RefusedError(CLOSED, "the client left")
        problem = f"not done within {self.options.time_limit:g} s; send fewer lines"
        raise RefusedError(503, problem, {"Retry-After": "1"})


async def _left(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def too_long(size: int, most: int) -> str:
    """Return LibreTranslate's error for a request that is too large."""
    return f"Invalid request: request ({size}) exceeds text limit ({most})"
