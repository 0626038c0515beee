"""A trained model as one folder that loads anywhere.

The folder holds `bundle.json` (format, precision and file hashes), `config.yaml`,
`weights.safetensors`, the SentencePiece models, `metrics.json` and a model card. It holds no
pickle and no path, and loading it runs no code from it.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import safetensors

from nmt import __version__
from nmt.card import Metrics, model_card
from nmt.config import CellName, Config, dump_config, load_stored_config
from nmt.errors import BundleError, DataError, NmtError, shown
from nmt.model_hub import PREFIX, download
from nmt.models.quantization import tensors_of
from nmt.models.seq2seq import Seq2Seq
from nmt.models.weights import StoredPrecision, load_weights, save_weights, shapes_only
from nmt.plugins import CELL_GROUP, find_plugin, package_of
from nmt.reading import MOST_BYTES, parse_record, read_json, read_record, sha256
from nmt.storage import atomic_folder
from nmt.text.tokenizer import MODEL_FILES, Tokenizer, load_tokenizer

FORMAT = 3
"""The newest format that this version reads."""
_MANIFEST, _CONFIG, _WEIGHTS = "bundle.json", "config.yaml", "weights.safetensors"
_METRICS, _CARD = "metrics.json", "README.md"
_HEADER = 2**24  # bytes of names and shapes in a file of weights
_DESCRIPTIONS = {_CONFIG, _METRICS, _CARD}
_PARTS = (_CONFIG, _WEIGHTS, _METRICS, _CARD, *MODEL_FILES)
FILES = (_MANIFEST, *_PARTS)
"""Every file that a bundle may hold."""


@dataclass(frozen=True)
class _Cell:
    """A cell from another package."""

    name: str
    package: str


@dataclass(frozen=True)
class _Manifest:
    """The contents of `bundle.json`."""

    format: int
    precision: StoredPrecision
    files: dict[str, str]
    """SHA-256 by name."""
    cell: _Cell | None = None

    def fault(self) -> str | None:
        """Return the fault of the manifest, if any."""
        missing = [name for name in (_CONFIG, _WEIGHTS, _METRICS) if name not in self.files]
        others = [name for name in self.files if name not in _PARTS]
        if missing:
            return f"it does not list {missing[0]}"
        return f"{shown(others[0])} is no part of a bundle" if others else None


@dataclass(frozen=True)
class Bundle:
    """A model with its tokenizer, config and metrics.

    Attributes:
        model: the network, in evaluation mode.
        tokenizer: text to ids and back.
        config: how it was made; paths are not kept.
        metrics: validation scores, data fingerprints and versions.
        precision: how the weights are stored; those of `model` are always fp32.
    """

    model: Seq2Seq
    tokenizer: Tokenizer
    config: Config
    metrics: dict[str, Any]
    precision: StoredPrecision = "fp32"


def build_model(config: Config, tokenizer: Tokenizer) -> Seq2Seq:
    """Make the network that a config describes, with fresh weights."""
    return Seq2Seq(
        config.model,
        source_size=len(tokenizer.source),
        target_size=len(tokenizer.target),
        shared=tokenizer.shared,
    )


def save_bundle(folder: Path, bundle: Bundle) -> None:
    """Write a bundle, or replace an existing one.

    A reader always finds a complete bundle.

    Args:
        folder: its path.
        bundle: the model; with precision int8 its weights are rounded to 8 bits, a quarter of the
            size. Its metrics are plain numbers, strings, lists and dicts.

    Raises:
        NmtError: a weight is not finite, or a metric is not of its type.
        OSError: the system refused; the path then holds what it held before.
    """
    with atomic_folder(folder) as temporary:
        save_weights(temporary / _WEIGHTS, bundle.model, bundle.precision)
        bundle.tokenizer.save(temporary)
        _describe(temporary, bundle.config, bundle.metrics, bundle.precision)
        # safetensors lets only its owner read a new file.
        shutil.copymode(temporary / _CONFIG, temporary / _WEIGHTS)


def save_tuned(folder: Path, tuned: dict[str, Any]) -> None:
    """Change a bundle's default search; its weights stay unchanged, byte for byte.

    A reader always finds a complete bundle.

    Args:
        folder: the bundle, with nothing beside it; see `is_bundle`.
        tuned: `beam_size`, `length_penalty`, and how they were chosen: `split` (None for other
            text), `bleu`, `signature`. The metrics and the model card have it, too.

    Raises:
        BundleError: it is damaged.
        OSError: the system refused; the path then holds what it held before.
    """
    chosen = {name: tuned[name] for name in ("beam_size", "length_penalty")}
    with atomic_folder(folder) as temporary:
        copy_bundle(folder, temporary, {"tuned": tuned}, chosen)


def copy_bundle(
    folder: Path, out: Path, facts: dict[str, Any], search: Mapping[str, Any] | None = None
) -> None:
    """Copy a bundle, and add entries to its metrics and its model card.

    Args:
        folder: the bundle.
        out: an empty folder.
        facts: the added entries of `Metrics`.
        search: other values of its config's `decoding`.

    Raises:
        BundleError: it is damaged.
    """
    manifest = _read_manifest(folder)
    for name in (_CONFIG, _METRICS):  # they get new hashes, which must not hide damage
        _check(folder, manifest, name)
    config = load_stored_config(folder / _CONFIG)
    config = replace(config, decoding=replace(config.decoding, **(search or {})))
    metrics = read_json(folder / _METRICS) | facts
    kept = {name: manifest.files[name] for name in manifest.files.keys() - _DESCRIPTIONS}
    for name in kept:
        shutil.copyfile(folder / name, out / name)
    _describe(out, config, metrics, manifest.precision, kept)


def _describe(
    folder: Path,
    config: Config,
    metrics: dict[str, Any],
    precision: StoredPrecision,
    kept: Mapping[str, str] | None = None,
) -> None:
    """Write the files other than weights and tokenizer; `kept` are the known hashes."""
    (folder / _CONFIG).write_text(dump_config(config, portable=True), encoding="utf-8")
    text = json.dumps(metrics, indent=2)
    parse_record(text.encode(), _METRICS, Metrics)  # what could not be loaded is not written
    (folder / _METRICS).write_text(text, encoding="utf-8")
    (folder / _CARD).write_text(model_card(config, metrics, precision), encoding="utf-8")
    # Hashes that are known stay: those of files that were damaged meanwhile must not fit.
    hashes = {file.name: sha256(file) for file in sorted(folder.iterdir())} | dict(kept or {})
    manifest = {"format": FORMAT, "nmt": __version__, "precision": precision, "files": hashes}
    if config.model.cell not in get_args(CellName):
        point = find_plugin(CELL_GROUP, config.model.cell)
        manifest["cell"] = {"name": config.model.cell, "package": package_of(point)}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")


def load_bundle(path: str | Path) -> Bundle:
    """Load a model.

    Args:
        path: a run folder (its best model so far), a bundle folder, or `hf://owner/name`.

    Raises:
        BundleError: nothing there, a newer format, or a file that is missing or damaged, by name.
    """
    folder = find_bundle(path)
    while True:
        manifest = _read_manifest(folder)
        # A training run may put a better model here meanwhile; then that one is read, whole.
        try:
            bundle = _load(folder, manifest)
            if _read_manifest(folder) == manifest:
                return bundle
        except BundleError:
            if _read_manifest(folder) == manifest:
                raise


def is_bundle(folder: Path) -> bool:
    """Return whether a folder holds a bundle and nothing else."""
    is_one = (folder / _MANIFEST).is_file()
    return is_one and {path.name for path in folder.iterdir()} <= {*FILES}


def weights_size(folder: Path) -> int:
    """Return the bytes of a bundle's weights."""
    return (folder / _WEIGHTS).stat().st_size


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 of a bundle's weights."""
    return sha256(folder / _WEIGHTS)


def find_bundle(path: str | Path) -> Path:
    """Return the folder that holds the bundle which `path` names. See `load_bundle`."""
    folder = download(str(path), FILES) if str(path).startswith(PREFIX) else Path(path)
    for candidate in (folder, folder / "model"):
        if (candidate / _MANIFEST).exists():
            _require_cell(candidate, _read_manifest(candidate).cell)
            return candidate
    if not folder.exists():
        raise BundleError(f"there is no model at {folder}: no such folder")
    if (folder / "checkpoints").exists():
        raise BundleError(f"the run {folder} has no model yet: none was validated so far")
    raise BundleError(f"{folder} is neither a run nor a model: it holds no {_MANIFEST}")


def _require_cell(folder: Path, cell: _Cell | None) -> None:
    """Check that the package is installed that has the cell of a bundle.

    Raises:
        BundleError: it is not, or another package has a cell of this name.
    """
    if cell is None:
        return
    name, package = shown(cell.name), shown(cell.package)
    point = find_plugin(CELL_GROUP, cell.name)
    if point is None:
        raise BundleError(f"{folder} needs the cell {name} of the package {package}; install it")
    if (other := package_of(point)) != cell.package:
        raise BundleError(
            f"{folder} needs the cell {name} of the package {package}, and {other} has one of this "
            "name, too; uninstall that"
        )


def _read_manifest(folder: Path) -> _Manifest:
    path = folder / _MANIFEST
    try:
        version = read_json(path).get("format")
        if isinstance(version, int) and version > FORMAT:
            raise BundleError(
                f"{path} has bundle format {shown(version)}, and nmt {__version__} reads up to "
                f"{FORMAT}; install a newer nmt"
            )
        manifest = read_record(path, _Manifest)
    except DataError as error:
        raise BundleError(f"{error}; copy the model again") from None
    if wrong := manifest.fault():
        raise BundleError(f"{path} is damaged: {wrong}; copy the model again")
    return manifest


def _load(folder: Path, manifest: _Manifest) -> Bundle:
    try:
        for name in sorted(manifest.files.keys() - {_WEIGHTS}):
            _check(folder, manifest, name)
        config = load_stored_config(folder / _CONFIG)
        metrics = dict(read_record(folder / _METRICS, Metrics))
        tokenizer = load_tokenizer(folder)
        with shapes_only():
            model = build_model(config, tokenizer).eval()
        most = sum(tensor.nbytes for tensor in tensors_of(model).values()) + _HEADER
        _check(folder, manifest, _WEIGHTS, most)
        load_weights(folder / _WEIGHTS, model, manifest.precision)
    except (BundleError, DataError) as error:
        raise BundleError(f"{error}; copy the model again") from None
    except (NmtError, OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise BundleError(f"{folder} does not fit nmt {__version__}: {error}") from None
    return Bundle(model, tokenizer, config, metrics, manifest.precision)


def _check(folder: Path, manifest: _Manifest, name: str, most: int = MOST_BYTES) -> None:
    """Refuse a file that is not the one in the manifest, or does not lie in the bundle.

    The hub's cache links to files of its own.
    """
    path, blobs = folder / name, folder.parent.parent / "blobs"
    behind = Path(os.path.realpath(path)).parent
    if behind not in (folder.resolve(), blobs.resolve()):
        raise BundleError(f"{path} is a link out of the bundle")
    if sha256(path, most) != manifest.files[name]:
        raise BundleError(f"{path} is damaged: its SHA-256 is not the one in {_MANIFEST}")
