"""LibreTranslate's API in one process: answers are those of `nmt translate`, errors its own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from nmt.inference.search import BatchSearch
from nmt.serving.app import create_app
from nmt.serving.limits import ServeOptions
from nmt.serving.served import Models, ServedModel
from tests.conftest import Command

LINES = [
    "Der Hund schläft.",
    "",
    "  \t",
    "Ein alter Mann liest ein Buch.",
    "Gut",
    "a\u2028b \x0b c",
]
GERMAN = "Heute liest der alte Mann in seinem kleinen Haus ein sehr gutes Buch."
ENGLISH = "Today the old man is reading a very good book in his small house."


@pytest.fixture(scope="module")
def client(tiny_run: Path, backwards: Path) -> Iterator[TestClient]:
    models = Models([ServedModel(str(path)) for path in (tiny_run, backwards)])
    options = ServeOptions(max_characters=5000, max_queue=100, reload=0)
    with TestClient(create_app(models, options)) as client:
        yield client


def lines_of(nmt: Command, model: Path, folder: Path, lines: list[str], *words: str) -> list[str]:
    """What `nmt translate` writes."""
    source = folder / "source"
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    done = nmt("translate", model, source, *words)
    assert done.code == 0
    return done.out.removesuffix("\n").split("\n")


def ask(client: TestClient, **values: Any) -> Any:
    answer = client.post("/translate", json={"source": "de", "target": "en"} | values)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_answers_are_those_of_nmt_translate(
    client: TestClient, nmt: Command, tiny_run: Path, tmp_path: Path
) -> None:
    expected = lines_of(nmt, tiny_run, tmp_path, LINES)
    assert ask(client, q=LINES[0]) == {"translatedText": expected[0]}
    assert ask(client, q=LINES) == {"translatedText": expected}
    assert ask(client, q="\n".join(LINES)) == {"translatedText": "\n".join(expected)}
    assert ask(client, q="\r\n".join(LINES) + "\r\n") == {
        "translatedText": "\n".join(expected) + "\n"
    }


@pytest.mark.parametrize("files", [None, {"x": b""}])
def test_forms_are_read_as_json_is(client: TestClient, files: Any) -> None:
    values = {"q": "Der Hund schläft.\r\nGut", "source": "de", "target": "en"}
    answer = client.post("/translate", data=values, files=files)  # urlencoded, and multipart
    assert answer.status_code == 200
    assert answer.json() == ask(client, q="Der Hund schläft.\nGut")
    assert client.post("/translate", params=values).json() == answer.json()


def test_forms_need_no_percent_encoding(client: TestClient) -> None:
    """`curl -d` sends text as it was typed; Flask, which LibreTranslate uses, reads it as UTF-8."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    typed = "q=Größe&source=de&target=en&x=1;2&alternatives".encode()
    answer = client.post("/translate", content=typed, headers=kind)
    assert answer.json() == ask(client, q="Größe") != ask(client, q="GrÃ¶Ã\x9fe")
    for latin in ("q=Größe".encode("latin-1"), b"q=Gr%F6%DFe"):
        wrong = client.post("/translate", content=latin, headers=kind)
        assert (wrong.status_code, wrong.json()["error"]) == (
            400,
            "Invalid request: the form is not UTF-8",
        )


def test_a_text_that_was_cut_says_so(tiny_run: Path) -> None:
    """LibreTranslate cuts nothing; a truncated answer must not look like the whole text."""
    model = ServedModel(str(tiny_run))
    model.translator.defaults = replace(model.translator.defaults, max_source_length=2)
    options = ServeOptions(max_characters=5000, max_queue=100, reload=0)
    with TestClient(create_app(Models([model]), options)) as client:
        one = ask(client, q=f"\n{LINES[0]}")
        several = ask(client, q=["", f"\n{LINES[0]}"])
    assert [problem.partition(" to ")[0] for problem in one["problems"]] == [
        f"line 2: source of {len(model.translator.tokenizer.source.encode([LINES[0]])[0])} tokens "
        "was cut"
    ]
    assert several["problems"] == [[], one["problems"]]


def test_alternatives_are_the_next_candidates(
    client: TestClient, nmt: Command, tiny_run: Path, tmp_path: Path
) -> None:
    words = ("--n-best", "5", "--beam-size", "5", "--format", "jsonl")
    row = json.loads(lines_of(nmt, tiny_run, tmp_path, LINES[:1], *words)[0])
    best, *others = [one["text"] for one in row["n_best"]]
    found = ask(client, q=LINES[0], alternatives=4)
    assert found == {"translatedText": best, "alternatives": others} and others
    many = ask(client, q=[LINES[0], ""], alternatives=4)
    assert many == {"translatedText": [best, ""], "alternatives": [others, []]}
    # Of two lines each alternative is one text.
    both = ask(client, q=f"{LINES[0]}\n", alternatives=4)
    assert both["alternatives"] == [f"{text}\n" for text in others]
    form = {"q": LINES[0], "source": "de", "target": "en", "alternatives": "4"}
    assert client.post("/translate", data=form).json() == found


def test_auto_finds_the_source(client: TestClient) -> None:
    found = ask(client, q=GERMAN, source="auto")
    assert found["translatedText"] == ask(client, q=GERMAN)["translatedText"]
    assert found["detectedLanguage"]["language"] == "de"
    assert 50 < found["detectedLanguage"]["confidence"] <= 100
    back = ask(client, q=[ENGLISH, "Gut"], source="auto", target="de")
    assert [one["language"] for one in back["detectedLanguage"]] == ["en", "en"]
    assert (
        back["translatedText"]
        == ask(client, q=[ENGLISH, "Gut"], source="en", target="de")["translatedText"]
    )


@pytest.mark.parametrize(("text", "language"), [(GERMAN, "de"), (ENGLISH, "en")])
def test_detection(client: TestClient, text: str, language: str) -> None:
    for answer in (
        client.post("/detect", json={"q": text}),
        client.post("/detect", data={"q": text}),
    ):
        best, other = answer.json()
        assert best["language"] == language and best["confidence"] > 50 > other["confidence"]


def test_languages_and_health(client: TestClient) -> None:
    assert client.get("/languages").json() == [
        {"code": "de", "name": "German", "targets": ["en"]},
        {"code": "en", "name": "English", "targets": ["de"]},
    ]
    assert client.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"q": ""}, "q"),
        ({"q": []}, "q"),
        ({"q": None}, "q"),
        ({"q": 5}, "q"),
        ({"q": ["a", 5]}, "q"),
        ({"q": {"a": 1}}, "q"),
        ({"source": None}, "source"),
        ({"source": ["de"]}, "source"),
        ({"source": "xx"}, "xx"),
        ({"target": "xx"}, "xx"),
        ({"target": ""}, "target"),
        ({"source": "auto", "target": "xx"}, "xx"),
        ({"source": "en"}, "English (en)"),
        ({"format": "html"}, "html"),
        ({"format": ["html"]}, "html"),
        ({"alternatives": -1}, "alternatives"),
        ({"alternatives": "two"}, "alternatives"),
        ({"alternatives": 1.5}, "alternatives"),
        ({"alternatives": True}, "alternatives"),
        ({"alternatives": [1]}, "alternatives"),
        ({"alternatives": 21}, "20"),
        ({"q": "x" * 5001}, "5001"),
        ({"q": ["x" * 2501, "y" * 2500]}, "5001"),
        ({"q": "\n" * 100}, "101"),
    ],
)
def test_wrong_parameters_are_refused_as_libretranslate_does(
    client: TestClient, values: dict[str, Any], told: str
) -> None:
    answer = client.post("/translate", json={"q": "Gut", "source": "de", "target": "en"} | values)
    assert answer.status_code == 400
    (error,) = answer.json().values()
    assert list(answer.json()) == ["error"] and told in error


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"[" * 100_000, b"\xff", b'{"q": ' + b"9" * 5000 + b"}"],
)
@pytest.mark.parametrize("path", ["/translate", "/detect"])
def test_bad_json_is_refused(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and list(answer.json()) == ["error"]


def test_text_that_is_no_unicode_is_refused(client: TestClient) -> None:
    body = b'{"q": "\\ud800", "source": "de", "target": "en"}'
    answer = client.post("/translate", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and "Unicode" in answer.json()["error"]


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x", "x/y"])
def test_other_bodies_are_refused(client: TestClient, kind: str) -> None:
    answer = client.post("/translate", content=b"\x00--x", headers={"content-type": kind})
    assert answer.status_code == 400 and list(answer.json()) == ["error"]


def test_a_body_of_10_mb_is_refused_with_the_limit(client: TestClient) -> None:
    values = {"q": "x" * 10_000_000, "source": "de", "target": "en"}
    for answer in (client.post("/translate", json=values), client.post("/translate", data=values)):
        assert answer.status_code == 400 and "exceeds text limit" in answer.json()["error"]


def test_unknown_paths_and_methods(client: TestClient) -> None:
    for answer, status in ((client.get("/nothing"), 404), (client.get("/translate"), 405)):
        assert answer.status_code == status and list(answer.json()) == ["error"]


def test_a_line_without_memory_is_no_empty_translation(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(BatchSearch, "_search", search)
    answer = client.post("/translate", json={"q": ["Gut", ""], "source": "de", "target": "en"})
    assert answer.status_code == 500 and "out of memory" in answer.json()["error"]
