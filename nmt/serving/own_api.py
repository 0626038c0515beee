"""The native endpoints: n-best lists, scores, prefixes, search settings, next words."""

import types
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, create_model

from nmt.config import SearchOptions
from nmt.config.values import field_texts, field_types
from nmt.errors import UsageError
from nmt.inference.next_words import Prediction
from nmt.inference.search import Translation
from nmt.serving.served import Line, NextWords, ServedModel
from nmt.serving.service import ERRORS, RefusedError, Service

_LIMITS = {"beam_size": 64, "n_best": 64, "max_length_ratio": 10}
"""What one request may ask for, since its cost grows with these."""
_NOT_ASKED = ("max_source_length", "batch_size")  # of the model; without influence on results
_NO_TOKENS = {"translations": {"__all__": {"n_best": {"__all__": {"tokens"}}}}}
_STRICT = ConfigDict(strict=True, extra="forbid")


def _settings_field(name: str, kind: Any, text: str) -> tuple[Any, Any]:
    """Convert a field of `SearchOptions` to a pydantic field."""
    if isinstance(kind, types.UnionType) or get_origin(kind) is Union:
        (kind,) = (part for part in get_args(kind) if part is not types.NoneType)
    limits: dict[str, float] = {}
    if get_origin(kind) is Annotated:
        kind, values = get_args(kind)
        limits["gt" if values.above else "ge"] = values.low
        limits["le"] = min(values.high, _LIMITS.get(name, values.high))
    return kind | None, Field(default=None, description=text, **limits)  # type: ignore[call-overload]


if TYPE_CHECKING:
    Settings = BaseModel
else:
    Settings = create_model(
        "Settings",
        __config__=_STRICT,
        **{
            name: _settings_field(name, kind, field_texts(SearchOptions)[name])
            for name, kind in field_types(SearchOptions).items()
            if name not in _NOT_ASKED
        },
    )


class Asked(BaseModel):
    """The model or language pair of every request."""

    model_config = _STRICT
    model: str | None = Field(None, description="name of a model; or give source and target")
    source: str | None = None
    target: str | None = None


class TranslateRequest(Asked):
    """Lines to translate."""

    text: str | list[str] = Field(description="one line, or several")
    prefix: str | list[str] = Field("", description="whole words with which it begins; per line")
    settings: Settings = Field(default_factory=Settings, description="default: the model's own")


class NextWordsRequest(Asked):
    """A sentence, and the prefix of its translation."""

    text: str
    prefix: str = ""
    top: int = Field(10, ge=1, le=100)


class TranslateAnswer(BaseModel):
    """Translations, one for each line; scores are log-probabilities in nats."""

    model: str
    translations: list[Translation]


class ModelsAnswer(BaseModel):
    """The models and limits of the server."""

    models: list[dict[str, Any]]
    key_required: bool
    max_characters: int
    max_queue: int


def own_routes(service: Service) -> APIRouter:
    """Return the endpoints over a service."""
    router = APIRouter(prefix="/v1", tags=["nmt"], responses=ERRORS)

    def check_key(request: Request) -> None:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        service.check_key(key.encode("latin-1") if kind.lower() == "bearer" else None)

    @router.get("/models", summary="List models with their settings")
    async def models() -> ModelsAnswer:
        return ModelsAnswer(
            models=[model.describe() for model in service.models.models],
            key_required=bool(service.options.keys),
            max_characters=service.options.max_characters,
            max_queue=service.options.max_queue,
        )

    @router.post(
        "/translate",
        summary="Translate lines",
        dependencies=[Depends(check_key)],
        response_model_exclude=_NO_TOKENS,
    )
    async def translate_lines(body: TranslateRequest, request: Request) -> TranslateAnswer:
        model = _model(service, body)
        lines = _lines(body)
        service.check_size([part for line in lines for part in line])
        request.scope["nmt.texts"] = [text for text, _ in lines]
        try:
            work = model.translate(body.settings.model_dump(exclude_unset=True))
        except UsageError as error:
            raise RefusedError(400, f"settings: {error}") from None
        found = await service.work(request, model, work, lines)
        return TranslateAnswer(model=model.name, translations=found)

    @router.post("/next", summary="Predict the next word", dependencies=[Depends(check_key)])
    async def next_words(body: NextWordsRequest, request: Request) -> Prediction:
        model = _model(service, body)
        service.check_size([body.text, body.prefix])
        request.scope["nmt.texts"] = [body.text]
        work, lines = NextWords(model.translator, body.top), [(body.text, body.prefix)]
        found: list[Prediction] = await service.work(request, model, work, lines)
        return found[0]

    return router


def _model(service: Service, asked: Asked) -> ServedModel:
    """Find the requested model; the name is optional if there is only one model."""
    models = service.models
    if asked.model is not None:
        model = models.by_name.get(asked.model)
        problem = f"model: {asked.model!r} is not one of {', '.join(models.by_name)}"
    elif asked.source is not None and asked.target is not None:
        model = models.by_pair.get((asked.source, asked.target))
        problem = f"no model translates {asked.source!r} to {asked.target!r}"
    else:
        model = models.models[0] if len(models.models) == 1 else None
        problem = "name a model, or source and target"
    if model is None:
        raise RefusedError(400, problem)
    return model


def _lines(body: TranslateRequest) -> list[Line]:
    """Pair lines with their prefixes."""
    texts = [body.text] if isinstance(body.text, str) else body.text
    prefixes = [body.prefix] * len(texts) if isinstance(body.prefix, str) else body.prefix
    if len(texts) != len(prefixes):
        raise RefusedError(400, f"prefix: {len(prefixes)} for {len(texts)} texts; give one each")
    for row, text in enumerate(texts):
        if "\n" in text:
            raise RefusedError(400, f"text: item {row} has several lines; give a list of lines")
    return list(zip(texts, prefixes, strict=True))
