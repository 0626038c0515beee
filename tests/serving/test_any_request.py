"""Requests that schemathesis makes from the server's own description: none ends in a 5xx."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from starlette.testclient import TestClient

from nmt.serving.app import create_app
from nmt.serving.limits import ServeOptions
from nmt.serving.served import Models, ServedModel

schemathesis = pytest.importorskip("schemathesis")
OPERATIONS = ("/translate", "/detect", "/v1/translate", "/v1/next")


@pytest.fixture(scope="module")
def app(attentive: Path) -> Iterator[Any]:
    app = create_app(Models([ServedModel(str(attentive))]), ServeOptions(reload=0))

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":  # schemathesis would start and end the app for every request
            await app(scope, receive, send)

    with TestClient(app):
        yield asked


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
@pytest.mark.parametrize("path", OPERATIONS)
def test_no_request_fails(app: Any, path: str, mode: str) -> None:
    described = schemathesis.openapi.from_asgi("/openapi.json", app)
    cases = described[path]["POST"].as_strategy(generation_mode=schemathesis.GenerationMode[mode])
    seen = set()

    @given(case=cases)
    @settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=HealthCheck)
    def ask(case: Any) -> None:
        answer = case.call()
        seen.add(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert list(answer.json()) == ["error"]

    ask()
    assert (200 if mode == "POSITIVE" else 400) in seen


def test_every_operation_is_described(app: Any) -> None:
    described = schemathesis.openapi.from_asgi("/openapi.json", app)
    every = {(one.ok().method, one.ok().path) for one in described.get_all_operations()}
    assert {path for method, path in every if method == "post"} == set(OPERATIONS)
    for method, path in every:
        if method == "get":
            assert described[path]["GET"].Case().call().status_code == 200
