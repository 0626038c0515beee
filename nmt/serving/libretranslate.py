"""LibreTranslate's API, compatible with its clients.

Source: LibreTranslate, `libretranslate/app.py` and its guide to the API; error
statuses and messages are the same.
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request

from nmt.errors import DataError
from nmt.inference.search import Translation
from nmt.reading import parse_json
from nmt.serving.detection import detect, language_name
from nmt.serving.served import ServedModel
from nmt.serving.service import ERRORS, RefusedError, Service

MOST_ALTERNATIVES = 20
_DETECTABLE = 40  # characters; LibreTranslate judges shorter texts of a list by all together
_TEXT: dict[str, Any] = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0, "maximum": MOST_ALTERNATIVES, "default": 0}
_Result = tuple[list[str], list[str]]
"""A text's translations, the best first, and the problems of its lines."""
_KEY = _TEXT | {"default": "", "description": "where the server needs one"}


def _body(**properties: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI description of a body, as JSON and as a form."""
    needed = [name for name, kind in properties.items() if "default" not in kind]
    schema = {"type": "object", "properties": properties, "required": needed}
    kinds = ("application/json", "application/x-www-form-urlencoded")
    return {
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}
    }


def libretranslate_routes(service: Service) -> APIRouter:
    """Return the endpoints over a service."""
    router = APIRouter(tags=["LibreTranslate"], responses=ERRORS)
    languages = service.models.languages

    @router.post(
        "/translate",
        summary="Translate text",
        openapi_extra=_body(
            q={"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]},
            source=_TEXT | {"enum": ["auto", *languages]},
            target=_TEXT | {"enum": list(languages)},
            format={"type": "string", "enum": ["text"], "default": "text"},
            alternatives=_COUNT,
            api_key=_KEY,
        ),
    )
    async def translate(request: Request) -> dict[str, Any]:
        values = await _values(request)
        service.check_key(values.get("api_key"))
        texts = _texts(values, "q")
        source, target = (_texts(values, name)[0] for name in ("source", "target"))
        extra = _alternatives(values)
        if (kind := values.get("format") or "text") != "text":
            raise RefusedError(400, f"{kind} format is not supported")
        service.check_size(texts)
        request.scope["nmt.texts"] = texts
        detected = _detected(texts, source, target, service)
        results: list[_Result] = [([], [])] * len(texts)
        models = [_model(service, one["language"], target) for one in detected]
        for model in dict.fromkeys(models):
            rows = [row for row, one in enumerate(models) if one is model]
            found = await _translate(service, request, model, [texts[row] for row in rows], extra)
            for row, one in zip(rows, found, strict=True):
                results[row] = one
        answer: dict[str, Any] = {"translatedText": [best for (best, *_), _ in results]}
        if source == "auto":
            answer["detectedLanguage"] = detected
        if extra:
            answer["alternatives"] = [others for (_, *others), _ in results]
        # A key of our own: a text that was cut must not look whole.
        if any(problems := [named for _, named in results]):
            answer["problems"] = problems
        single = isinstance(values["q"], str)
        return {name: value[0] for name, value in answer.items()} if single else answer

    @router.post(
        "/detect", summary="Detect a text's language", openapi_extra=_body(q=_TEXT, api_key=_KEY)
    )
    async def detect_language(request: Request) -> list[dict[str, Any]]:
        values = await _values(request)
        service.check_key(values.get("api_key"))
        texts = _texts(values, "q")
        service.check_size(texts)
        return detect("\n".join(texts), languages)

    @router.get("/languages", summary="List languages and their targets")
    async def list_languages() -> list[dict[str, Any]]:
        return [
            {"code": tag, "name": language_name(tag), "targets": targets}
            for tag, targets in languages.items()
        ]

    @router.get("/health", summary="Tell that the server is up")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return router


async def _values(request: Request) -> dict[str, Any]:
    """Return the parameters of a request, from JSON, else from form and query."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return parse_json(await request.body(), "the body")
        except DataError:
            raise RefusedError(400, "Invalid JSON format") from None
    pairs: list[tuple[str, Any]] = []
    if kind == "application/x-www-form-urlencoded":
        try:  # Starlette takes bytes that are not percent-encoded, as of `curl -d`, for Latin-1
            text = (await request.body()).decode()
            pairs += parse_qsl(text, keep_blank_values=True, errors="strict")
        except ValueError:
            raise RefusedError(400, "Invalid request: the form is not UTF-8") from None
    else:
        pairs += (await request.form()).multi_items()
    pairs += request.query_params.multi_items()
    # The first value of a name counts, and the form before the query.
    return {name: value for name, value in reversed(pairs) if isinstance(value, str)}


def _texts(values: dict[str, Any], name: str) -> list[str]:
    """Return the text of a parameter, or its texts: `q` may be a list."""
    given = values.get(name)
    if not given:
        raise RefusedError(400, f"Invalid request: missing {name} parameter")
    texts = given if name == "q" and isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise RefusedError(400, f"Invalid request: {name} parameter is not a string")
    return texts


def _alternatives(values: dict[str, Any]) -> int:
    given = values.get("alternatives") or 0
    if isinstance(given, bool) or not re.fullmatch(r"\d{1,9}", str(given), re.ASCII):
        raise RefusedError(400, "Invalid request: alternatives parameter is not a number")
    if int(given) > MOST_ALTERNATIVES:
        raise RefusedError(
            400, f"Invalid request: alternatives parameter must be <= {MOST_ALTERNATIVES}"
        )
    return int(given)


def _detected(
    texts: Sequence[str], source: str, target: str, service: Service
) -> list[dict[str, Any]]:
    """Return each text's language; for `auto`, one that a model translates from."""
    if source != "auto":
        return [{"confidence": 100.0, "language": source} for _ in texts]
    sources = [one for one, targets in service.models.languages.items() if target in targets]
    if not sources:
        raise RefusedError(400, f"{target} is not supported")
    whole = detect("\n".join(texts), sources)[0]
    return [
        detect(text, sources)[0] if len(text) > _DETECTABLE and len(texts) > 1 else whole
        for text in texts
    ]


def _model(service: Service, source: str, target: str) -> ServedModel:
    for tag in (source, target):
        if tag not in service.models.languages:
            raise RefusedError(400, f"{tag} is not supported")
    model = service.models.by_pair.get((source, target))
    if model is None:
        names = [f"{language_name(tag)} ({tag})" for tag in (target, source)]
        raise RefusedError(400, f"{names[0]} is not available as a target language from {names[1]}")
    return model


async def _translate(
    service: Service, request: Request, model: ServedModel, texts: Sequence[str], extra: int
) -> list[_Result]:
    """Return each text's translation and `extra` others, line by line, and its lines' problems.

    If there are more candidates than the beam holds, the beam is widened.
    """
    settings = {}
    if extra:
        beam = max(model.translator.defaults.beam_size, extra + 1)
        settings = {"n_best": extra + 1, "beam_size": beam}
    lines = [split_lines(text) for text in texts]
    flat = [(line, "") for one in lines for line in one]
    found: list[Translation] = await service.work(request, model, model.translate(settings), flat)
    if failed := [one.problem for one in found if one.failed]:
        raise RefusedError(500, str(failed[0]))
    rest = iter(found)
    results = []
    for one in lines:
        done = [next(rest) for _ in one]
        problems = [f"line {row}: {e.problem}" for row, e in enumerate(done, start=1) if e.problem]
        candidates = [each.n_best for each in done]
        # A line with fewer candidates than others stays at its best.
        count = min(max(map(len, candidates)), extra + 1)
        ranked = [
            "\n".join(some[rank if rank < len(some) else 0].text for some in candidates)
            for rank in range(count)
        ]
        results.append((ranked, problems))
    return results


def split_lines(text: str) -> list[str]:
    r"""Split text as `nmt translate` does: only at `\n`, with one optional `\r` before it."""
    *lines, last = text.split("\n")
    return [*(line.removesuffix("\r") for line in lines), last]
