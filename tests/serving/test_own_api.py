"""`/v1`, the page's files, keys, metrics and the description of it all."""

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from nmt.config import SearchOptions
from nmt.inference.next_words import predict
from nmt.inference.translator import Translator
from nmt.serving.app import create_app
from nmt.serving.limits import ServeOptions
from nmt.serving.served import Models, ServedModel
from tests.conftest import Command

TEXTS = ["Der Hund schläft.", "", "Ein alter Mann liest ein Buch."]


@pytest.fixture(scope="module")
def models(tiny_run: Path, attentive: Path) -> Models:
    return Models([ServedModel(str(path)) for path in (tiny_run, attentive)])


@pytest.fixture(scope="module")
def client(models: Models) -> Iterator[TestClient]:
    with TestClient(create_app(models, ServeOptions(reload=0))) as client:
        yield client


def ask(client: TestClient, path: str = "/v1/translate", **values: Any) -> Any:
    answer = client.post(path, json={"model": "run"} | values)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("run", {}),
        ("run", {"n_best": 3, "length_penalty": 0.2}),
        ("run", {"greedy": True}),
        ("run", {"sample": True, "temperature": 0.7, "seed": 5}),
        ("run", {"beam_size": 2, "prune": 3.0, "max_length_ratio": 1}),
        ("attentive", {"alignments": True, "n_best": 2, "coverage_penalty": 0.3}),
    ],
)
def test_answers_are_those_of_nmt_translate(
    client: TestClient,
    nmt: Command,
    tiny_run: Path,
    attentive: Path,
    tmp_path: Path,
    model: str,
    settings: dict[str, Any],
) -> None:
    (tmp_path / "in").write_text("".join(f"{text}\n" for text in TEXTS))
    words: list[object] = []
    for name, value in settings.items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    path = tiny_run if model == "run" else attentive
    done = nmt("translate", path, tmp_path / "in", "--format", "jsonl", *words)
    expected = [json.loads(line) for line in done.out.splitlines()]
    found = ask(client, model=model, text=TEXTS, settings=settings)["translations"]
    for row, mine in zip(expected, found, strict=True):
        assert mine["text"] == row["text"]
        assert mine["score"] == pytest.approx(row["score"], abs=1e-4)
        assert [one["text"] for one in mine["n_best"]] == [one["text"] for one in row["n_best"]]
        for one, other in zip(mine["n_best"], row["n_best"], strict=True):
            links = None if one["alignment"] is None else [list(link) for link in one["alignment"]]
            assert links == other.get("alignment") and "tokens" not in one
        assert mine["problem"] == row.get("problem")


def test_prefixes(client: TestClient, tiny_run: Path) -> None:
    expected = Translator.load(tiny_run).translate(TEXTS[:1] * 2, prefixes=["The old", ""])
    found = ask(client, text=TEXTS[:1] * 2, prefix=["The old", ""])["translations"]
    assert [one["text"] for one in found] == [one.text for one in expected]
    assert found[0]["text"].startswith("The old")
    assert ask(client, text=TEXTS[0], prefix="The old")["translations"] == found[:1]


def test_next_words_are_those_of_nmt_predict(client: TestClient, tiny_run: Path) -> None:
    expected = predict(Translator.load(tiny_run), TEXTS[0], "The", top=4)
    found = ask(client, "/v1/next", text=TEXTS[0], prefix="The", top=4)
    assert [one["text"] for one in found["guesses"]] == [one.text for one in expected.guesses]
    assert found["end"] == pytest.approx(expected.end, rel=1e-4)


def test_models_are_listed(client: TestClient) -> None:
    found = client.get("/v1/models").json()
    assert [one["name"] for one in found["models"]] == ["run", "attentive"]
    assert [one["attention"] for one in found["models"]] == [False, True]
    assert found["models"][0]["settings"]["beam_size"] == 3 and found["key_required"] is False


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"model": "none"}, "'none'"),
        ({"model": None}, "model"),
        ({"model": None, "source": "de", "target": "fr"}, "'fr'"),
        ({"text": None}, "text"),
        ({"text": 5}, "text"),
        ({"text": ["a", None]}, "text"),
        ({"text": "a\nb"}, "lines"),
        ({"prefix": ["a", "b"]}, "prefix: 2"),
        ({"txet": "a"}, "txet"),
        ({"settings": {"beam_size": 0}}, "beam_size"),
        ({"settings": {"beam_size": 65}}, "64"),
        ({"settings": {"beam_size": "5"}}, "beam_size"),
        ({"settings": {"beam_size": None}}, "beam_size"),
        ({"settings": {"n_best": 9}}, "n_best: 9"),
        ({"settings": {"greedy": True, "sample": True}}, "greedy"),
        ({"settings": {"seed": 5}}, "seed"),
        ({"settings": {"greedy": True, "prune": 2.0}}, "prune"),
        ({"settings": {"alignments": True}}, "attention"),
        ({"settings": {"batch_size": 3}}, "batch_size"),
        ({"settings": {"shortlist": 1}}, "settings.shortlist"),
        ({"settings": []}, "settings"),
        ({"text": "x" * 100_001}, "100001"),
    ],
)
def test_wrong_requests_are_refused(client: TestClient, values: dict[str, Any], told: str) -> None:
    answer = client.post("/v1/translate", json={"model": "run", "text": "Gut"} | values)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"] and told in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"text": "Gut"}', "application/x-www-form-urlencoded"),  # `curl -d` without a header
        ('{"text": "Gut",}', "application/json"),
        ("[1]", "application/json"),
        ("", "application/json"),
    ],
)
def test_a_body_that_is_no_json_object_is_told_so(client: TestClient, body: str, kind: str) -> None:
    answer = client.post("/v1/translate", content=body, headers={"Content-Type": kind})
    told = "the body is not a JSON object sent as Content-Type: application/json"
    assert (answer.status_code, answer.json()) == (400, {"error": told})


def test_a_blank_sentence_has_no_next_word(client: TestClient) -> None:
    answer = client.post("/v1/next", json={"model": "run", "text": " "})
    assert answer.status_code == 400 and "' '" in answer.json()["error"]


def test_settings_are_described_as_the_flags_are(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    schema = description["components"]["schemas"]["Settings"]["properties"]
    assert set(schema) == set(SearchOptions.__dataclass_fields__) - {
        "batch_size",
        "max_source_length",
    }
    assert "most frequent in training" in schema["shortlist"]["description"]
    assert {"/translate", "/detect", "/languages", "/health", "/v1/translate"} <= set(
        description["paths"]
    )


def test_metrics_count(models: Models) -> None:
    def value(line: str) -> float:
        found = re.search(rf"^{re.escape(line)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
        assert found, line
        return float(found[1])

    with TestClient(create_app(models, ServeOptions(reload=0))) as client:
        ask(client, text=TEXTS)
        client.post("/translate", json={"q": "Gut", "source": "de", "target": "en"})
        client.get(f"/{'x' * 100}")
        assert value('nmt_lines_total{model="run"}') == 4
        assert value('nmt_requests_total{path="/translate",status="200"}') == 1
        assert value('nmt_requests_total{path="other",status="404"}') == 1
        assert value("nmt_batch_lines_sum") == 4 and value("nmt_queue_lines") == 0


def test_a_fault_of_ours_is_one_line_and_ends_one_request(
    models: Models, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    translator = models.models[0].translator
    good = translator.translate

    def fail(texts: Any, *options: Any, **settings: Any) -> Any:
        if "Katze" in texts:
            raise ZeroDivisionError("a fault")
        return good(texts, *options, **settings)

    monkeypatch.setattr(translator, "translate", fail)
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    app = create_app(models, ServeOptions(reload=0))
    with TestClient(app) as client, caplog.at_level("ERROR", "nmt"):
        answer = client.post("/v1/translate", json={"model": "run", "text": "Katze"})
        assert answer.status_code == 500 and list(answer.json()) == ["error"]
        assert ask(client, text="Gut")["translations"]
    record = caplog.records[0]
    assert "ZeroDivisionError: a fault" in record.getMessage() and record.exc_info is None


def test_keys(models: Models) -> None:
    options = ServeOptions(reload=0, keys=frozenset({"first", "zweitér"}))
    body = {"q": "Gut", "source": "de", "target": "en"}
    own = {"model": "run", "text": "Gut"}
    with TestClient(create_app(models, options)) as client:
        for key, status in (("first", 200), ("zweitér", 200), ("", 400), ("fir", 403), (5, 403)):
            for path in ("/translate", "/detect"):
                answer = client.post(path, json=body | {"api_key": key})
                assert answer.status_code == status, answer.text
            header = {"Authorization": f"Bearer {key}".encode()}
            assert client.post("/v1/translate", json=own, headers=header).status_code == status
        assert client.post("/translate", json=body).json()["error"].endswith("API key")
        wrong = client.post("/translate", data=body | {"api_key": "x"})
        assert wrong.status_code == 403 and wrong.json() == {"error": "Invalid API key"}
        assert client.get("/v1/models").json()["key_required"] is True
        assert client.get("/languages").status_code == 200


def test_pages_of_other_origins_may_call_only_where_allowed(models: Models) -> None:
    header = {"Origin": "https://example.org"}
    for allowed, answered in ((None, None), ("https://example.org", "https://example.org")):
        app = create_app(models, ServeOptions(reload=0, allow_origin=allowed))
        with TestClient(app) as client:
            answer = client.get("/languages", headers=header)
            assert answer.headers.get("access-control-allow-origin") == answered
            refused = client.post("/translate", content=b" " * 10**7, headers=header)
            assert refused.status_code == 400 and "exceeds text limit" in refused.json()["error"]
            assert refused.headers.get("access-control-allow-origin") == answered


def test_a_model_that_cannot_be_loaded_does_not_end_the_checks(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_run / "model", tmp_path / "model")
    model = ServedModel(str(tmp_path / "model"))
    before = model.translator

    def load(self: ServedModel) -> None:
        raise RuntimeError("not enough memory")

    os.utime(tmp_path / "model" / "bundle.json")
    with monkeypatch.context() as patch:
        patch.setattr(ServedModel, "_load", load)
        model.reload()
    assert model.translator is before and model.reloads == 0
    os.utime(tmp_path / "model" / "bundle.json", (1, 1))
    model.reload()
    assert model.reloads == 1


def test_the_page_needs_nothing_from_another_host(client: TestClient) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
    ):
        answer = client.get(path)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(
            r"(https?:)?//[\w.]+/", re.sub(r"http://www\.w3\.org/\S*", "", answer.text)
        )
