"""Serves on a socket until a signal, then finishes accepted requests."""

import signal
import socket

import uvicorn
from fastapi import FastAPI

from nmt.errors import NmtError
from nmt.log import log

_BACKLOG = 2048
_IDLE = 75
"""Seconds before an idle connection is closed. nginx and AWS reuse one within 60 seconds; a request
that meets the end of its connection would fail."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Args:
        host: address or name.
        port: 0 for any that is free.

    Raises:
        NmtError: the address is unavailable.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NmtError(
            f"cannot listen on {host}:{port}: {reason}; choose another --host or --port"
        ) from None
    # Connections inherit it. asyncio sets it only where the socket names its protocol; without it
    # an answer's second packet waits 40 ms for the client to confirm the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def serve(app: FastAPI, listening: socket.socket, grace: float) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer accepted requests.

    Args:
        app: the application.
        listening: from `listen`.
        grace: maximum seconds for these requests; a second Ctrl-C stops at once.
    """
    for ending in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again at its end
        signal.signal(ending, signal.SIG_IGN)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(grace),
        timeout_keep_alive=_IDLE,
        backlog=_BACKLOG,
    )
    log.info("listening on http://%s:%d", shown, port)
    uvicorn.Server(config).run(sockets=[listening])
    log.info("stopped")
