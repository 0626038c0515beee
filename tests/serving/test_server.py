"""`nmt serve` as its own process: clients unchanged, many at once, rude ones, reload, the end."""

import concurrent.futures
import http.client
import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libretranslatepy import LibreTranslateAPI

from nmt.data.phrases import read_split
from nmt.inference.translator import Translator
from nmt.serving.served import ServedModel
from nmt.serving.server import listen
from tests.conftest import Command, save_member
from tests.serving.conftest import Served, serving

TEXT = "Der Hund schläft."
LINES = [source for source, _ in read_split("test")[:64]]


@pytest.fixture(scope="module")
def server(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "keys").write_text("secret\n\nother\n")
    with serving(folder / "log", tiny_run, "--api-keys", folder / "keys") as server:
        yield server


@pytest.fixture(scope="module")
def expected(tiny_run: Path) -> dict[str, str]:
    """The translation of every line, alone."""
    translator = Translator.load(tiny_run)
    return {line: translator.translate([line])[0].text for line in [TEXT, *LINES]}


def ask(url: str, text: str | list[str], **values: Any) -> Any:
    body = {"q": text, "source": "de", "target": "en", "api_key": "secret"} | values
    request = urllib.request.Request(
        f"{url}/translate",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["translatedText"]


def metric(url: str, line: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=20) as answer:
        rows = answer.read().decode().splitlines()
    return float(next(row for row in rows if row.startswith(line + " ")).split()[-1])


def wait_for(true: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_libretranslatepy_works_unchanged(server: Served, expected: dict[str, str]) -> None:
    client = LibreTranslateAPI(server.url, api_key="secret")
    assert client.translate(TEXT, "de", "en") == expected[TEXT]
    assert client.translate(TEXT, "auto", "en", timeout=20) == expected[TEXT]
    assert [one["code"] for one in client.languages()] == ["de", "en"]
    assert client.detect("Heute liest der alte Mann ein gutes Buch.")[0]["language"] == "de"
    for key, status in (("wrong", 403), (None, 400)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            LibreTranslateAPI(server.url, api_key=key).translate(TEXT, "de", "en")
        assert refused.value.code == status and json.loads(refused.value.read())["error"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        client.translate(TEXT, "de", "xx")
    assert refused.value.code == 400 and "xx" in json.loads(refused.value.read())["error"]


def test_64_clients_at_once_get_the_answers_of_nmt_translate(
    server: Served, expected: dict[str, str], tiny_run: Path, nmt: Command, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("".join(f"{line}\n" for line in LINES))
    assert nmt("translate", tiny_run, tmp_path / "in").out.splitlines() == [
        expected[line] for line in LINES
    ]
    batches = metric(server.url, "nmt_batch_lines_count")

    def client(number: int) -> list[str]:
        return [ask(server.url, LINES[(number + turn) % 64]) for turn in range(4)]

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        found = list(pool.map(client, range(64)))
    for number, answers in enumerate(found):
        assert answers == [expected[LINES[(number + turn) % 64]] for turn in range(4)]
    assert metric(server.url, "nmt_batch_lines_count") - batches < 128  # 256 requests share them
    assert metric(server.url, "nmt_queue_lines") == 0


def connect(server: Served, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(data)
    return connection


def request_bytes(text: str | list[str], length: int | None = None) -> bytes:
    body = json.dumps({"q": text, "source": "de", "target": "en", "api_key": "secret"}).encode()
    head = "POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length or len(body)}\r\n\r\n".encode() + body


def test_clients_that_leave_harm_no_other(server: Served, expected: dict[str, str]) -> None:
    rude = [
        connect(server, request_bytes(LINES * 20)),  # whole, and not waiting for the answer
        connect(server, request_bytes(TEXT, length=10_000)),  # half a body
        connect(server, b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Le"),  # half a head
        connect(server, b"\x16\x03\x01\x02\x00\x01\x00"),  # not HTTP
        connect(server, b""),
    ]
    assert ask(server.url, TEXT) == expected[TEXT]
    done = metric(server.url, "nmt_batch_lines_sum")
    for connection in rude:
        connection.close()
    assert ask(server.url, TEXT) == expected[TEXT]
    wait_for(lambda: metric(server.url, "nmt_queue_lines") == 0)
    # Most of the 1,280 lines were dropped unread.
    assert metric(server.url, "nmt_batch_lines_sum") - done < 640
    assert server.process.poll() is None


def test_a_proxy_can_use_an_idle_connection_again(server: Served) -> None:
    """uvicorn's own limit is 5 seconds; the client would get `RemoteDisconnected`."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for pause in (0, 6):
        time.sleep(pause)
        connection.request("GET", "/health")
        assert connection.getresponse().read()


def test_answers_do_not_wait_for_the_network() -> None:
    """Nagle's algorithm with delayed confirmation would take 40 ms of every answer."""
    with (
        listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_texts_are_not_logged(server: Served) -> None:
    ask(server.url, TEXT)
    log = server.log.read_text()
    assert "POST /translate 200" in log and "Hund" not in log and "secret" not in log
    assert "Traceback" not in log


def test_texts_are_logged_where_asked(tiny_run: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "log", tiny_run, "--log-texts") as server:
        ask(server.url, [TEXT, "Gut\nX"])
        assert server.stop() == 0
    (row,) = [row for row in server.log.read_text().splitlines() if "POST /translate" in row]
    assert TEXT in row and "Gut\\nX" in row


def test_a_full_queue_refuses_and_names_when_to_come_again(
    tiny_run: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    with serving(tmp_path / "log", tiny_run, "--max-queue", 1300) as server:
        long = connect(server, request_bytes(LINES * 20))
        wait_for(lambda: metric(server.url, "nmt_queue_lines") >= 1280)
        with pytest.raises(urllib.error.HTTPError) as full:
            ask(server.url, [TEXT] * 40)
        assert full.value.code == 429 and int(full.value.headers["Retry-After"]) >= 1
        assert json.loads(full.value.read())["error"].startswith("Slowdown")
        assert ask(server.url, TEXT) == expected[TEXT]  # there is room for one
        long.close()


def test_work_that_takes_too_long_is_dropped(tiny_run: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "log", tiny_run, "--time-limit", 0.2) as server:
        with pytest.raises(urllib.error.HTTPError) as late:
            ask(server.url, LINES * 20)
        assert late.value.code == 503 and "0.2 s" in json.loads(late.value.read())["error"]
        wait_for(lambda: metric(server.url, "nmt_queue_lines") == 0)
        half = connect(server, request_bytes(TEXT, length=10_000))
        assert half.recv(100).startswith(b"HTTP/1.1 408")
        half.close()


def test_shutdown_answers_what_was_accepted(
    tiny_run: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    with (
        serving(tmp_path / "log", tiny_run) as server,
        concurrent.futures.ThreadPoolExecutor(9) as pool,
    ):
        found = [pool.submit(ask, server.url, LINES * 4) for _ in range(8)]
        wait_for(lambda: metric(server.url, "nmt_queue_lines") >= 8 * 4 * 64 * 0.5)
        assert server.stop() == 0
        for one in found:
            assert one.result(60) == [expected[line] for line in LINES] * 4
        with pytest.raises(OSError):
            ask(server.url, TEXT)


def test_a_newer_model_is_loaded_without_a_lost_request(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    old = Translator.load(run).translate([TEXT])[0].text
    with serving(tmp_path / "log", run, "--reload", 0.1) as server:
        assert ask(server.url, TEXT) == old
        answers = []
        save_member(tiny_run, run / "model")  # as training does, in the place of the old one
        new = Translator.load(run).translate([TEXT])[0].text
        assert new != old

        def ask_again() -> bool:
            answers.append(ask(server.url, TEXT))
            return answers[-1] == new

        wait_for(ask_again)
        assert set(answers) <= {old, new}
        assert metric(server.url, 'nmt_reloads{model="run"}') == 1
        # One that is copied file by file is loaded when all are there.
        names = {path.name for path in (run / "model").iterdir()} - {"bundle.json"}
        for name in ["bundle.json", *names]:
            (run / "model" / name).unlink()  # the weights are mapped into memory
            shutil.copy(tiny_run / "model" / name, run / "model")
            if name == "bundle.json":
                wait_for(lambda: "stays as it was loaded" in server.log.read_text())
        wait_for(lambda: ask(server.url, TEXT) == old)
        # A damaged model changes nothing, and the server logs it once.
        faults = server.log.read_text().count("stays as it was loaded")
        (run / "model" / "weights.safetensors").unlink()
        (run / "model" / "weights.safetensors").write_bytes(b"x")
        wait_for(lambda: server.log.read_text().count("stays as it was loaded") > faults)
        time.sleep(0.5)
        (run / "model" / "bundle.json").touch()
        time.sleep(0.5)
        assert server.log.read_text().count("stays as it was loaded") == faults + 1
        assert ask(server.url, TEXT) == old and server.stop() == 0


def test_a_port_that_is_taken_is_one_line(nmt: Command, tiny_run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = nmt("serve", tiny_run, "--port", port)
    assert done.code == 1 and str(port) in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", 65_536], "65536"),
        (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
        (["--max-queue", 0], "--max-queue: 0"),
        (["--time-limit", 0], "--time-limit: 0"),
        (["--api-keys", "nowhere"], "nowhere"),
        (["--precision", "int4"], "int4"),
        (["loop"], "there is no model at loop"),
    ],
)
def test_wrong_calls_are_one_line(
    nmt: Command,
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[object],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    done = nmt("serve", tiny_run, *words)
    assert done.code in (1, 2) and told in done.err and done.err.count("\n") == 1


def test_a_link_gives_the_model_its_name(tiny_run: Path, tmp_path: Path) -> None:
    """It may point to another folder later."""
    (tmp_path / "current").symlink_to(tiny_run)
    assert ServedModel(str(tmp_path / "current")).name == "current"


def test_two_models_of_one_name_are_refused(nmt: Command, tiny_run: Path) -> None:
    done = nmt("serve", tiny_run, tiny_run, "--port", 0)
    assert done.code == 2 and "run" in done.err


def test_a_missing_extra_is_one_line(
    nmt: Command, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = nmt("serve", tiny_run)
    assert done.code == 2 and "nmt[serve]" in done.err and done.err.count("\n") == 1
