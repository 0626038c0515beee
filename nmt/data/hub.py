"""Sentence pairs from a data set of the Hugging Face hub, or a folder in the hub's layout.

The files are downloaded once, and kept as Arrow tables that are mapped, not loaded, into memory.
"""

import contextlib
import csv
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nmt.config import DataConfig
from nmt.data.columns import Pair, Read, arrow_rows, join_lines, read_pairs, top_columns
from nmt.errors import ConfigError, DataError
from nmt.log import log
from nmt.model_hub import quiet_hub
from nmt.text.lines import wide_encoding

_PROBE_SECONDS = 4
# Cells are text: `NA` is a word, and a quote in a TSV is a character.
_CSV_OPTIONS: dict[str, Any] = {"keep_default_na": False}
_TSV_OPTIONS: dict[str, Any] = {"keep_default_na": False, "quoting": csv.QUOTE_NONE}


class _Address(NamedTuple):
    """The parts of `OWNER/NAME[@REVISION][#CONFIG]` or `FOLDER[#CONFIG]`."""

    text: str
    path: str
    revision: str | None
    config: str | None


def open_hub(text: str, config: DataConfig) -> tuple[tuple[str, ...], Read]:
    """Load a data set from a folder, from the hub, or, while the hub is offline, from its cache.

    Args:
        text: `OWNER/NAME[@REVISION][#CONFIG]`, or `FOLDER[#CONFIG]` if the folder exists.
        config: languages and columns.

    Returns:
        The names of its splits, and a function that streams the pairs of one.

    Raises:
        ConfigError: the text is not an address.
        DataError: the data set cannot be loaded.
    """
    address = _parse(text)
    tables = _load(address)

    def read(split: str) -> Iterator[Pair]:
        table, where = tables[split], f"{address.text}: {split}"
        columns = top_columns(table.column_names, config, where)
        table = table.select_columns(columns).with_format("arrow")
        rows = arrow_rows(table.iter(batch_size=1000), where)
        return join_lines(read_pairs(rows, config))

    return tuple(tables), read


def _parse(text: str) -> _Address:
    path, _, config = text.partition("#")
    revision = ""
    if not Path(path).is_dir():
        path, _, revision = path.partition("@")
        if Path(path).is_dir():
            raise ConfigError(f"data.corpus: hub:{text}: the folder {path} has no revisions")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", path, flags=re.ASCII):
            raise ConfigError(
                f"data.corpus: hub:{text} is neither hub:OWNER/NAME[@REVISION][#CONFIG] "
                "nor a folder that exists"
            )
    return _Address(f"hub:{text}", path, revision or None, config or None)


def _load(address: _Address) -> Any:
    """Download missing files, and return a mapping of split names to Arrow tables."""
    quiet_hub()
    import datasets

    # Our own warnings and errors cover what these libraries log about caches and formats.
    datasets.logging.set_verbosity(logging.CRITICAL)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        if Path(address.path).is_dir():
            # An absolute path cannot be mistaken for a data set of the hub.
            builder = _builder(address._replace(path=str(Path(address.path).absolute())))
        else:
            builder = _hub_builder(address)
        builder.download_and_prepare()
        return builder.as_dataset()
    except DataError:
        raise
    except Exception as error:
        raise DataError(_explain(error, address)) from error


def _hub_builder(address: _Address) -> Any:
    """Make the builder of the hub's commit, from one request with a short timeout, or the cache."""
    import datasets
    from huggingface_hub import HfApi

    if datasets.config.HF_HUB_OFFLINE:
        return _cached_builder(address, "HF_HUB_OFFLINE is set")
    api = HfApi()
    try:
        info = api.dataset_info(address.path, revision=address.revision, timeout=_PROBE_SECONDS)
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None and status < 500:
            raise
        return _cached_builder(address, f"{api.endpoint} cannot be reached: {_first_line(error)}")
    commit = info.sha
    builder = _builder(address._replace(revision=commit))
    if builder.hash != commit:
        # The library falls back to any cached copy, whatever the fault.
        raise DataError(
            f"{address.text}: commit {commit} cannot be loaded, though another, {builder.hash}, "
            "is in the cache; name it after the @ to use it, or clear the cache to see why"
        )
    return builder


def _builder(address: _Address) -> Any:
    """Make the builder of a data set, which reads cells of CSV and TSV as plain text."""
    import datasets

    def load(**options: Any) -> Any:
        return datasets.load_dataset_builder(
            address.path, address.config, revision=address.revision, **options
        )

    builder = load()
    if hasattr(builder.config, "keep_default_na"):
        return load(**(_TSV_OPTIONS if builder.config.sep == "\t" else _CSV_OPTIONS))
    return builder


def _cached_builder(address: _Address, reason: str) -> Any:
    """Find the newest copy in the cache, without asking the hub again."""
    import datasets

    offline = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = True
    try:
        builder = _find_cached(address)
    except (ConnectionError, ValueError) as error:
        raise DataError(
            f"{address.text}: {reason}, and the cache holds no copy; check the network and "
            "HF_ENDPOINT, or bring the files here and use hub:FOLDER"
        ) from error
    finally:
        datasets.config.HF_HUB_OFFLINE = offline
    if address.revision not in (None, "main") and not builder.hash.startswith(address.revision):
        raise DataError(
            f"{address.text}: {reason}, and the newest copy in the cache is of commit "
            f"{builder.hash}; name it after the @ to use it"
        )
    log.warning("%s: %s; using the cached copy of commit %s", address.text, reason, builder.hash)
    return builder


def _find_cached(address: _Address) -> Any:
    import datasets

    # The cache key includes these options; try each.
    for options in (_CSV_OPTIONS, _TSV_OPTIONS):
        with contextlib.suppress(ValueError):
            return datasets.load_dataset_builder(address.path, address.config, **options)
    return datasets.load_dataset_builder(address.path, address.config)


def _explain(error: Exception, address: _Address) -> str:
    """Describe a library's error in one line, with the remedy."""
    from datasets.data_files import EmptyDatasetError
    from datasets.exceptions import DataFilesNotFoundError
    from huggingface_hub import errors as hub_errors

    chain = list(_causes(error))

    def caused_by(*kinds: type[Exception]) -> bool:
        return any(isinstance(cause, kinds) for cause in chain)

    name, text = address.text, str(error)
    if caused_by(hub_errors.GatedRepoError) or "gated dataset" in text:
        return f"{name} is gated: ask for access on its page, then log in with `hf auth login`"
    if caused_by(hub_errors.RevisionNotFoundError):
        return f"{name} has no revision {address.revision!r}; name a branch, tag or commit"
    if caused_by(hub_errors.RepositoryNotFoundError):
        return (
            f"{name}: the hub has no data set {address.path}, or it is private; "
            "check the name, or log in with `hf auth login`"
        )
    if "Dataset scripts are no longer supported" in text:
        return (
            f"{name} needs its loading script, and scripts are not run; use a copy with data "
            "files (on the hub often under @refs/convert/parquet)"
        )
    if caused_by(EmptyDatasetError, DataFilesNotFoundError):
        return f"{name} has no data files (parquet, jsonl, csv, tsv)"
    if configs := re.search(r"[Aa]vailable(?: configs)?: \[(.*?)\]", text):
        wrong = (
            f"no configuration {address.config!r}" if address.config else "several configurations"
        )
        return f"{name} has {wrong}; give one after a #: {configs[1]}"
    for cause in chain:
        if isinstance(cause, UnicodeDecodeError) and (wide := wide_encoding(cause.object)):
            return f"{name} has a file in {wide}, not UTF-8; use a copy of the data set in UTF-8"
    return f"{name} cannot be loaded: {type(chain[-1]).__name__}: {_first_line(chain[-1])}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
