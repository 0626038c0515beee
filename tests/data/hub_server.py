"""A hub on 127.0.0.1: the few answers that huggingface_hub and datasets need of one."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

Files = dict[str, bytes]


def commit_of(files: Files) -> str:
    """Name a state of a repository, as git would: 40 hexadecimal digits."""
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


class HubServer(ThreadingHTTPServer):
    """Serves `repositories`: OWNER/NAME → file path → content. All have one branch, main.

    The files of `gated` ones are withheld; `refused` ones answer with an HTTP status.
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
            case ["storage", owner, name, *file]:
                self._send(200, self.server.repositories[f"{owner}/{name}"]["/".join(file)])
            case _:
                self._send(404, b"")

    do_HEAD = do_GET  # noqa: N815
    do_POST = do_GET  # noqa: N815

    def _api(self, repository: str, rest: list[str]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if repository in self.server.refused:
            return self._send(self.server.refused[repository], b"")
        files = self.server.repositories.get(repository)
        if files is None:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        commit = commit_of(files)
        if len(rest) > 1 and rest[1] not in ("main", commit):
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        entries = [_entry(path, content) for path, content in files.items()]
        match rest[:1]:
            case [] | ["revision"]:
                siblings = [{"rfilename": path} for path in files]
                answer: object = {"id": repository, "sha": commit, "siblings": siblings}
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
