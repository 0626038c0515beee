"""`nmt serve MODEL…`: models over HTTP, with a web page."""

import argparse
import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nmt.cli.flags import DeviceFlags, add_flags, option, positional
from nmt.config.values import Range, field_types
from nmt.errors import DataError, UsageError
from nmt.log import log
from nmt.memory import limit_arenas
from nmt.serving.limits import ServeLimits, ServeOptions

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "py3langid", "prometheus_client")


@dataclass
class _Flags:
    models: list[str] = positional("MODEL", nargs="+", action="store")
    """run folder, bundle folder, or hf://owner/name; a run's newer best model is loaded
    automatically; LibreTranslate's API uses the first model of each language pair"""
    host: str = "127.0.0.1"
    """address to listen on"""
    port: Annotated[int, Range(0, 65_535)] = 5000
    """port to listen on (default 5000, as in LibreTranslate; 0 picks a free one)"""
    api_keys: str | None = option(metavar="FILE")
    """file with one key per line; clients must send one of them"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and serve."""
    parser.description = (
        "Serve models over HTTP: LibreTranslate's API (POST /translate, GET /languages, "
        "POST /detect), /v1/translate with n-best lists, scores, prefixes and search settings, "
        "/v1/next, /openapi.json, /metrics for Prometheus, and a web page at /. Answers equal "
        "those of nmt translate. On SIGTERM or Ctrl-C, the server finishes accepted requests."
    )
    add_flags(parser, words, _Flags, DeviceFlags, ServeLimits)
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

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    limits = {name: getattr(arguments, name) for name in field_types(ServeLimits)}
    options = ServeOptions(keys=keys, **limits)
    with listen(arguments.host, arguments.port) as listening:
        models = Models(
            [ServedModel(path, arguments.device, arguments.precision) for path in arguments.models]
        )
        for model in models.models:
            log.info("%s: %s → %s", model.name, *model.pair)
        serve(create_app(models, options), listening, math.ceil(arguments.time_limit))
