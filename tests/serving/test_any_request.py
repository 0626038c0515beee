"""Requests that schemathesis makes from the server's own description: none ends in a 5xx."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from starlette.testclient import TestClient

from nmt.serving.app import create_app
from nmt.serving.served import Models, ServedModel
from nmt.serving.service import ServeOptions

schemathesis = pytest.importorskip("schemathesis")


@pytest.fixture(scope="module")
def app(tiny_run: Path, attentive: Path) -> Iterator[Any]:
    models = Models([ServedModel(str(path)) for path in (tiny_run, attentive)])
    app = create_app(models, ServeOptions(reload=0))
    with TestClient(app):  # closes the service
        yield app


@pytest.fixture
def described(app: Any) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", app)


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_fails(case: Any) -> None:
    answer = case.call()
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert list(answer.json()) == ["error"]
    case.validate_response(answer, checks=[schemathesis.checks.not_a_server_error])
