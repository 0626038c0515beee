#!/usr/bin/env python
"""Loads `nmt serve` with many clients: latency, throughput, equality of answers, memory.

Usage: python scripts/serve_load.py MODEL FILE [--clients 64] [--seconds 60] [--json OUT]

One client sends the first 1,000 lines of FILE for a while, one at a time; then many do at once,
beside one that keeps leaving in the middle of requests; then one again. Every answer is compared
with that of the model alone. All runs on this machine: the clients take processor time, too.
"""

import argparse
import http.client
import itertools
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil

import nmt
from nmt.inference.translator import Translator
from nmt.text.lines import read_lines


class RudeClient(threading.Thread):
    """Leaves again and again: in the middle of a request, or before its answer."""

    def __init__(self, port: int, end: float):
        super().__init__()
        self._port, self._end = port, end

    def run(self) -> None:
        """Send whole and half requests until the time is over."""
        body = json.dumps({"q": ["Unread."] * 50, "source": "auto", "target": "en"}).encode()
        head = "POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        for length in itertools.cycle([20, len(head), len(whole) - 10, len(whole)]):
            if time.perf_counter() > self._end:
                return
            with socket.create_connection(("127.0.0.1", self._port)) as connection:
                connection.sendall(whole[:length])
                time.sleep(0.2)


class Client(threading.Thread):
    """Sends one line after the other over one connection.

    Args:
        port: of the server.
        lines: with their translations, again and again.
        end: when to stop, by `time.perf_counter`.
        translator: of the model.
        alone: also let the translator do each line, and note its time: the machine is never the
            same twice.
    """

    def __init__(
        self,
        port: int,
        lines: "itertools.cycle[tuple[str, str]]",
        end: float,
        translator: Translator,
        alone: bool,
    ):
        super().__init__()
        self.seconds: list[float] = []
        self.alone: list[float] = []
        self.wrong: list[str] = []
        self._port, self._lines, self._end = port, lines, end
        self._translator, self._measures = translator, alone

    def run(self) -> None:
        """Send lines until the time is over."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        data = self._translator.config.data
        pair = {"source": data.source_language, "target": data.target_language}
        while time.perf_counter() < self._end:
            line, expected = next(self._lines)
            body = json.dumps({"q": line} | pair)
            started = time.perf_counter()
            try:
                connection.request("POST", "/translate", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                found = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.wrong.append(f"{line!r}: {error!r}")
                return
            self.seconds.append(time.perf_counter() - started)
            if answer.status != 200 or found["translatedText"] != expected:
                self.wrong.append(f"{answer.status} {line!r}: {found}, not {expected!r}")
            if self._measures:
                started = time.perf_counter()
                self._translator.translate([line])
                self.alone.append(time.perf_counter() - started)


def load(
    port: int, lines: list[tuple[str, str]], clients: int, seconds: float, translator: Translator
) -> dict[str, Any]:
    """Run clients, and return what they measured; of one client also the translator's own time."""
    end = time.perf_counter() + seconds
    many = [
        Client(port, itertools.cycle(lines[row:] + lines[:row]), end, translator, clients == 1)
        for row in range(0, clients * 7, 7)
    ]
    rude = [RudeClient(port, end)] * (clients > 1)
    for one in [*many, *rude]:
        one.start()
    for one in [*many, *rude]:
        one.join()
    every = sorted(itertools.chain.from_iterable(one.seconds for one in many))
    wrong = [told for one in many for told in one.wrong]
    if len(every) < 2:
        sys.exit(f"serve_load: the server does not answer: {wrong[:1]}")
    report = {
        "clients": clients,
        "requests": len(every),
        "per_second": clients * len(every) / sum(every),
        "p50_ms": 1000 * median(every),
        "p99_ms": 1000 * quantiles(every, n=100)[98],
        "wrong": len(wrong),
        "first_wrong": wrong[:1],
    }
    if clients == 1:
        report["translator_p50_ms"] = 1000 * median(many[0].alone)
    return report


def main() -> int:
    """Measure, print, and return 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(description="Load nmt serve with many clients.")
    parser.add_argument("model")
    parser.add_argument("file", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    texts = list(filter(str.strip, itertools.islice(read_lines(arguments.file), 1000)))
    if not texts:
        parser.error(f"{arguments.file} begins with nothing but blank lines")
    translator = nmt.load(arguments.model)
    found = translator.translate(texts)
    lines = [(text, one.text) for text, one in zip(texts, found, strict=True)]
    report: dict[str, Any] = {}
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "nmt", "serve", arguments.model, "--port", "0"]
        server = subprocess.Popen(command, stderr=log)
        try:
            port = None
            while port is None and server.poll() is None:
                time.sleep(0.2)
                log.seek(0)
                if listening := re.search(r"listening on \S+:(\d+)", log.read()):
                    port = int(listening[1])
            if port is None:
                print("the server did not start", file=sys.stderr)
                return 1
            process = psutil.Process(server.pid)
            load(port, lines, 1, 3, translator)  # warm
            load(port, lines, arguments.clients, 3, translator)
            report["one"] = load(port, lines, 1, min(20, arguments.seconds), translator)
            memory = [process.memory_info().rss]
            done = threading.Event()

            def watch() -> None:
                while not done.wait(arguments.seconds / 6):
                    memory.append(process.memory_info().rss)

            watcher = threading.Thread(target=watch)
            watcher.start()
            report["many"] = load(port, lines, arguments.clients, arguments.seconds, translator)
            done.set()
            watcher.join()
            report["mb"] = [round(size / 2**20) for size in memory]
            report["again"] = load(port, lines, 1, min(20, arguments.seconds), translator)
        finally:
            server.terminate()
            server.wait()
    alone_rate = (report["one"]["per_second"] + report["again"]["per_second"]) / 2
    report["ratio"] = report["many"]["per_second"] / alone_rate
    print(json.dumps(report, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))
    return int(any(report[name]["wrong"] for name in ("one", "many", "again")))


if __name__ == "__main__":
    sys.exit(main())
