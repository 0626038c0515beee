"""Limits of a server; `nmt serve` has a flag for each, with its range and help."""

from dataclasses import dataclass, field
from typing import Annotated

from nmt.config.values import Range

Size = Annotated[int, Range(1, 10_000_000)]


@dataclass(frozen=True)
class ServeLimits:
    """What a request may ask for, and what a server does beside answering."""

    max_characters: Size = 100_000
    """maximum characters of a request"""
    max_queue: Size = 2048
    """maximum lines queued or in progress; beyond it, status 429"""
    time_limit: Annotated[float, Range(0, 86_400, above=True)] = 60.0
    """maximum seconds for a request, and for its upload"""
    reload: Annotated[float, Range(0, 86_400)] = 5.0
    """seconds between checks for newer models, 0 for none"""
    allow_origin: str | None = field(default=None, metadata={"metavar": "ORIGIN"})
    """allow web pages of this origin to call the server from a browser, * for all (default: only
    its own page)"""
    log_texts: bool = False
    """also log the texts of requests"""


@dataclass(frozen=True)
class ServeOptions(ServeLimits):
    """Limits and keys of a server.

    Attributes:
        keys: API keys; empty for public access.
    """

    keys: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def max_bytes(self) -> int:
        """Bytes of a body: every character may be escaped, as two code units of six bytes."""
        return 12 * self.max_characters + 2**16
