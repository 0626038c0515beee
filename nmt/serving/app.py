"""The application: endpoints, page, metrics, and errors in one shape."""

import contextlib
import importlib.resources
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from nmt import __version__
from nmt.serving.guard import Guard
from nmt.serving.libretranslate import libretranslate_routes
from nmt.serving.limits import ServeOptions
from nmt.serving.own_api import own_routes
from nmt.serving.served import Models
from nmt.serving.service import RefusedError, Service

_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_app(models: Models, options: ServeOptions) -> FastAPI:
    """Return an ASGI application that serves models.

    At shutdown it finishes accepted requests.

    Args:
        models: the models to serve.
        options: limits, keys and reloading.
    """
    service = Service(models, options)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="nmt", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.include_router(libretranslate_routes(service))
    app.include_router(own_routes(service))
    _add_files(app)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        text = generate_latest(service.counters.registry)
        return Response(text, media_type="text/plain; version=0.0.4")

    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_body)
    app.add_middleware(Guard, service=service)
    if options.allow_origin is not None:  # around the guard, whose refusals pages must read, too
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[options.allow_origin],
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return app


def _add_files(app: FastAPI) -> None:
    folder = importlib.resources.files("nmt.serving")
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    for path, (name, kind) in _FILES.items():
        text = (folder / name).read_text(encoding="utf-8")
        answer = Response(text, media_type=kind, headers=headers | {"Cache-Control": "no-cache"})
        app.router.routes.append(Route(path, answer, methods=["GET"]))


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _refuse_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    problem = f"{place}: {first['msg']}"
    if not place or first["type"] == "json_invalid":
        problem = "the body is not a JSON object sent as Content-Type: application/json"
    return await _refuse(request, RefusedError(400, problem))
