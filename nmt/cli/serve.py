"""`nmt serve MODEL…`: models over HTTP, with a web page."""

import argparse
import importlib.util
import logging
import math
from pathlib import Path
from typing import Annotated

from nmt.cli.arguments import add_device_arguments
from nmt.config.values import Range, word_reader
from nmt.errors import DataError, UsageError
from nmt.memory import limit_arenas

_log = logging.getLogger("nmt")
_NEEDED = ("fastapi", "uvicorn", "python_multipart", "py3langid", "prometheus_client")
_Port = Annotated[int, Range(0, 65_535)]
_Size = Annotated[int, Range(1, 10_000_000)]
_Seconds = Annotated[float, Range(0, 86_400)]
_TimeLimit = Annotated[float, Range(0, 86_400, above=True)]


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and serve."""
    parser.description = (
        "Serve models over HTTP: LibreTranslate's API (POST /translate, GET /languages, "
        "POST /detect), /v1/translate with n-best lists, scores, prefixes and search settings, "
        "/v1/next, /openapi.json, /metrics for Prometheus, and a web page at /. Answers equal "
        "those of nmt translate. On SIGTERM or Ctrl-C, the server finishes accepted requests."
    )
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="run folder, bundle folder, or hf://owner/name; a run's newer best model is loaded "
        "automatically; LibreTranslate's API uses the first model of each language pair",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine)"
    )
    parser.add_argument(
        "--port",
        type=word_reader(_Port, "--port"),
        default=5000,
        help="port to listen on (default 5000, as in LibreTranslate; 0 picks a free one)",
    )
    add_device_arguments(parser)
    parser.add_argument(
        "--api-keys",
        metavar="FILE",
        help="file with one key per line; clients must send one of them",
    )
    parser.add_argument(
        "--allow-origin",
        metavar="ORIGIN",
        help="allow web pages of this origin to call the server from a browser, * for all "
        "(default: only its own page)",
    )
    for flag, kind, default, text in (
        ("--max-characters", _Size, 100_000, "maximum characters of a request"),
        ("--max-queue", _Size, 2048, "maximum lines queued or in progress; beyond it, status 429"),
        ("--time-limit", _TimeLimit, 60.0, "maximum seconds for a request, and for its upload"),
        ("--reload", _Seconds, 5.0, "seconds between checks for newer models, 0 for none"),
    ):
        reader = word_reader(kind, flag)
        parser.add_argument(
            flag, type=reader, default=default, help=f"{text} (default {default:,})"
        )
    parser.add_argument("--log-texts", action="store_true", help="also log the texts of requests")
    arguments = parser.parse_args(words)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"nmt serve needs the package {missing[0]}: pip install 'nmt[serve]'")
    keys = frozenset[str]() if arguments.api_keys is None else _read_keys(arguments.api_keys)
    _serve(arguments, keys)
    return 0


def _read_keys(path: str) -> frozenset[str]:
    from nmt.text.lines import read_lines

    keys = frozenset(line.strip() for line in read_lines(Path(path))) - {""}
    if not keys:
        raise DataError(f"--api-keys: {path} holds no key; write one a line")
    return keys


def _serve(arguments: argparse.Namespace, keys: frozenset[str]) -> None:
    limit_arenas()  # before threads start
    import torch

    from nmt.serving.app import create_app
    from nmt.serving.served import Models, ServedModel
    from nmt.serving.server import listen, serve
    from nmt.serving.service import ServeOptions

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    options = ServeOptions(
        max_characters=arguments.max_characters,
        max_queue=arguments.max_queue,
        time_limit=arguments.time_limit,
        reload=arguments.reload,
        keys=keys,
        allow_origin=arguments.allow_origin,
        log_texts=arguments.log_texts,
    )
    with listen(arguments.host, arguments.port) as listening:
        models = Models(
            [ServedModel(path, arguments.device, arguments.precision) for path in arguments.models]
        )
        for model in models.models:
            _log.info("%s: %s → %s", model.name, *model.pair)
        serve(create_app(models, options), listening, math.ceil(arguments.time_limit))
