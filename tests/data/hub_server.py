"""A hub on 127.0.0.1: the few answers that huggingface_hub and datasets need of one."""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from huggingface_hub import constants

Files = dict[str, bytes]


def commit_of(files: Files) -> str:
    """Name a state of a repository, as git would: 40 hexadecimal digits."""
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


def reach_hub(monkeypatch: pytest.MonkeyPatch, url: str, home: Path) -> None:
    """Point the hub's library at a server; it has read its variables when it was imported."""
    files = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "writer")


class HubServer(ThreadingHTTPServer):
    """Serves `repositories`: OWNER/NAME → file path → content. All have one branch, main.

    The files of `gated` ones are withheld; `refused` ones answer with an HTTP status. The token
    `writer` may upload, others not; a card with the license `wrong` is refused.
    """

    daemon_threads = True

    def __init__(
        self,
        repositories: dict[str, Files],
        gated: tuple[str, ...] = (),
        refused: dict[str, int] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.gated = gated
        self.refused = refused or {}
        self.private: set[str] = set()
        self.bad_names: set[str] = set()
        self.history: dict[str, Files] = {}
        """The files of every commit that was uploaded."""
        self.large: Files = {}
        """Large files by their SHA-256."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator["HubServer"]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Route by the first words of the path."""
        path = unquote(urlsplit(self.path).path).strip("/")
        match path.split("/"):
            case ["api", "datasets" | "models", owner, name, *rest]:
                self._api(f"{owner}/{name}", rest)
            case ["datasets", owner, name, "resolve", revision, *file] | [
                owner,
                name,
                "resolve",
                revision,
                *file,
            ]:
                self._resolve(f"{owner}/{name}", revision, "/".join(file))
            case ["api", "repos", "create"]:
                self._create(json.loads(self._body()))
            case ["api", "validate-yaml"]:
                faults = [{"message": "license must be known"}] * (
                    b"license: wrong" in self._body()
                )
                answer = json.dumps({"warnings": [], "errors": faults})
                self._send(400 if faults else 200, answer.encode())
            case [owner, name, "info", "lfs", "objects", "batch"]:
                self._batch(json.loads(self._body())["objects"])
            case ["large", oid]:
                self.server.large[oid] = self._body()
                self._send(200, b"")
            case ["storage", owner, name, *file]:
                self._send(200, self.server.repositories[f"{owner}/{name}"]["/".join(file)])
            case _:
                self._send(404, b"")

    do_HEAD = do_GET  # noqa: N815
    do_POST = do_GET  # noqa: N815
    do_PUT = do_GET  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = iter(lambda: self.rfile.read(int(self.rfile.readline(), 16) + 2)[:-2], b"")
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _may_write(self) -> bool:
        """Tell; where not, the answer is given."""
        token = self.headers.get("Authorization", "")
        if token != "Bearer writer":
            self._refuse(403 if token else 401, "this token may not")
        return token == "Bearer writer"

    def _refuse(self, status: int, reason: str) -> None:
        answer = json.dumps({"error": reason}).encode()
        self._send(status, answer, {"Content-Type": "application/json"})

    def _create(self, wanted: dict[str, str]) -> None:
        repository = f"{wanted['organization']}/{wanted['name']}"
        if not self._may_write():
            return None
        if repository in self.server.bad_names:
            return self._refuse(400, "no such name here")
        if wanted["visibility"] == "private":
            self.server.private.add(repository)
        self.server.repositories[repository] = {".gitattributes": b"* text\n"}
        return self._send(200, json.dumps({"url": f"{self.server.url}/{repository}"}).encode())

    def _batch(self, objects: list[dict[str, object]]) -> None:
        for one in objects:
            href = f"{self.server.url}/large/{one['oid']}"
            one["actions"] = {"upload": {"href": href, "header": {}}}
        self._send(200, json.dumps({"transfer": "basic", "objects": objects}).encode())

    def _preupload(self, wanted: list[dict[str, object]]) -> None:
        answers = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if str(one["path"]).endswith("tensors") else "regular",
                "shouldIgnore": False,
            }
            for one in wanted
        ]
        self._send(200, json.dumps({"files": answers}).encode())

    def _commit(self, repository: str, lines: list[bytes]) -> None:
        """Change all files of a commit at once."""
        files = dict(self.server.repositories[repository])
        for operation in map(json.loads, lines):
            value = operation["value"]
            match operation["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.server.large[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        commit = commit_of(files)
        self.server.repositories[repository] = self.server.history[commit] = files
        url = f"{self.server.url}/{repository}/commit/{commit}"
        answer = {"commitUrl": url, "commitOid": commit}
        self._send(200, json.dumps(answer).encode())

    def _api(self, repository: str, rest: list[str]) -> None:
        body = self._body()
        if repository in self.server.refused:
            return self._send(self.server.refused[repository], b"")
        files = self.server.repositories.get(repository)
        hidden = repository in self.server.private and "Authorization" not in self.headers
        if files is None or hidden:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        if rest[:1] == ["preupload"]:
            return self._preupload(json.loads(body)["files"])
        if rest[:1] == ["commit"]:
            return self._commit(repository, body.splitlines()) if self._may_write() else None
        if len(rest) > 1:
            files = self.server.history.get(rest[1], files)
        commit = commit_of(files)
        if len(rest) > 1 and rest[1] not in ("main", commit):
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        entries = [_entry(path, content) for path, content in files.items()]
        match rest[:1]:
            case [] | ["revision"]:
                siblings = [{"rfilename": path} for path in files]
                answer: Any = {"id": repository, "sha": commit, "siblings": siblings}
                answer |= {"private": repository in self.server.private}
            case ["tree"]:
                answer = _tree(files, "/".join(rest[2:]), "ecursive=true" in self.path.lower())
            case ["paths-info"]:
                wanted = parse_qs(body.decode())["paths"]
                answer = [entry for entry in entries if entry["path"] in wanted]
            case _:
                return self._send(404, b"")
        return self._send(200, json.dumps(answer).encode())

    def _resolve(self, repository: str, revision: str, file: str) -> None:
        files = self.server.repositories.get(repository, {})
        files = self.server.history.get(revision, files)
        commit = {"X-Repo-Commit": commit_of(files)}
        if repository in self.server.gated:
            return self._send(403, b"", commit | {"X-Error-Code": "GatedRepo"})
        if file not in files:
            return self._send(404, b"", commit | {"X-Error-Code": "EntryNotFound"})
        content = files[file]
        headers = commit | {"ETag": f'"{_etag(content)}"'}
        if file.endswith(".parquet"):
            # Large files lie on another host, and the client takes their state from this answer.
            elsewhere = self.server.url.replace("127.0.0.1", "localhost")
            headers |= {
                "Location": f"{elsewhere}/storage/{repository}/{file}",
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": headers["ETag"],
            }
            return self._send(302, b"", headers)
        return self._send(200, content, headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _tree(files: Files, folder: str, recursive: bool) -> list[dict[str, object]]:
    """List a folder: its files, and its folders in place of the files in them."""
    start = f"{folder}/" if folder else ""
    entries: dict[str, dict[str, object]] = {}
    for path, content in files.items():
        name, slash, _ = path.removeprefix(start).partition("/")
        if path.startswith(start) and slash and not recursive:
            entries[name] = {"type": "directory", "path": start + name, "oid": _etag(b"")}
        elif path.startswith(start):
            entries[path] = _entry(path, content)
    return list(entries.values())


def _entry(path: str, content: bytes) -> dict[str, object]:
    return {"type": "file", "path": path, "size": len(content), "oid": _etag(content)}


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
