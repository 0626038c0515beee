"""A trained model as one folder that loads anywhere.

The folder holds `bundle.json` (format, precision and file hashes), `config.yaml`,
`weights.safetensors`, the SentencePiece models, `metrics.json` and a model card. It holds no
pickle and no path, and loading it runs no code from it.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors

from nmt import __version__
from nmt.card import model_card
from nmt.config import Config, dump_config, load_stored_config
from nmt.errors import BundleError, ConfigError
from nmt.models.seq2seq import Seq2Seq
from nmt.models.weights import (
    STORED_PRECISIONS,
    StoredPrecision,
    load_weights,
    save_weights,
    shapes_only,
)
from nmt.storage import atomic_folder, require_hub_cache, sha256
from nmt.text.tokenizer import MODEL_FILES, Tokenizer, load_tokenizer

FORMAT = 3
"""The newest format that this version reads."""
_MANIFEST, _CONFIG, _WEIGHTS, _METRICS, _CARD = (
    "bundle.json",
    "config.yaml",
    "weights.safetensors",
    "metrics.json",
    "README.md",
)
_DESCRIPTIONS = {_CONFIG, _METRICS, _CARD}
_PARTS = (_CONFIG, _WEIGHTS, _METRICS, _CARD, *MODEL_FILES)


@dataclass(frozen=True)
class Bundle:
    """A loaded model with all that belongs to it.

    Attributes:
        model: the network, in evaluation mode.
        tokenizer: text to ids and back.
        config: how it was made; `data.splits` and paths are not kept.
        metrics: validation scores, data fingerprints and versions.
        precision: how the weights were stored; those of `model` are always fp32.
    """

    model: Seq2Seq
    tokenizer: Tokenizer
    config: Config
    metrics: dict[str, Any]
    precision: StoredPrecision


def build_model(config: Config, tokenizer: Tokenizer) -> Seq2Seq:
    """Make the network that a config describes, with fresh weights."""
    return Seq2Seq(
        config.model,
        source_size=len(tokenizer.source),
        target_size=len(tokenizer.target),
        shared=tokenizer.shared,
    )


def save_bundle(
    folder: Path,
    *,
    model: Seq2Seq,
    tokenizer: Tokenizer,
    config: Config,
    metrics: dict[str, Any],
    precision: StoredPrecision = "fp32",
) -> None:
    """Write a bundle, or put it in the place of the one that is there.

    A reader at any moment finds a whole one.

    Args:
        folder: the bundle's path.
        model: the network.
        tokenizer: its tokenizer.
        config: its config.
        metrics: plain numbers, strings, lists and dicts.
        precision: fp32, or int8 for weights rounded to 8 bits, a quarter of the size.

    Raises:
        NmtError: int8, and a weight is not finite.
        OSError: the system refused; the path then holds what it held before.
    """
    with atomic_folder(folder) as temporary:
        save_weights(temporary / _WEIGHTS, model, precision)
        tokenizer.save(temporary)
        _describe(temporary, config, metrics, precision)
        # safetensors lets only its owner read a new file.
        shutil.copymode(temporary / _CONFIG, temporary / _WEIGHTS)


def save_tuned(folder: Path, tuned: dict[str, Any]) -> None:
    """Change how a bundle searches by default; its weights stay as they are, byte for byte.

    A reader at any moment finds a whole bundle.

    Args:
        folder: the bundle, with nothing beside it; see `is_bundle`.
        tuned: `beam_size`, `length_penalty`, and how they were chosen: `split` (None for other
            text), `bleu`, `signature`. The metrics and the model card have it, too.

    Raises:
        BundleError: it is damaged.
        OSError: the system refused; the path then holds what it held before.
    """
    manifest = _read_manifest(folder)
    config = load_stored_config(folder / _CONFIG)
    chosen = {name: tuned[name] for name in ("beam_size", "length_penalty")}
    config = replace(config, decoding=replace(config.decoding, **chosen))
    metrics = json.loads((folder / _METRICS).read_bytes()) | {"tuned": tuned}
    kept = {name: manifest["files"][name] for name in manifest["files"].keys() - _DESCRIPTIONS}
    with atomic_folder(folder) as temporary:
        for name in kept:
            shutil.copyfile(folder / name, temporary / name)
        _describe(temporary, config, metrics, manifest["precision"], kept)


def _describe(
    folder: Path,
    config: Config,
    metrics: dict[str, Any],
    precision: StoredPrecision,
    kept: Mapping[str, str] | None = None,
) -> None:
    """Write what stands beside weights and tokenizer; `kept` are hashes that are known."""
    (folder / _CONFIG).write_text(dump_config(config, portable=True), encoding="utf-8")
    (folder / _METRICS).write_text(json.dumps(metrics, indent=2), encoding="utf-8")
    (folder / _CARD).write_text(model_card(config, metrics, precision), encoding="utf-8")
    # Hashes that are known stay: those of files that were damaged meanwhile must not fit.
    hashes = {file.name: sha256(file) for file in sorted(folder.iterdir())} | dict(kept or {})
    manifest = {"format": FORMAT, "nmt": __version__, "precision": precision, "files": hashes}
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
        except BundleError:
            if _read_manifest(folder) == manifest:
                raise
        else:
            if _read_manifest(folder) == manifest:
                return bundle


def is_bundle(folder: Path) -> bool:
    """Tell whether a folder is a bundle and holds nothing beside it."""
    if not (folder / _MANIFEST).is_file():
        return False
    return {path.name for path in folder.iterdir()} <= {_MANIFEST, *_PARTS}


def weights_size(folder: Path) -> int:
    """Return the bytes of a bundle's weights."""
    return (folder / _WEIGHTS).stat().st_size


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 of a bundle's weights."""
    return sha256(folder / _WEIGHTS)


def find_bundle(path: str | Path) -> Path:
    """Return the folder that holds the bundle which `path` names. See `load_bundle`."""
    if str(path).startswith("hf://"):
        return _download(str(path).removeprefix("hf://"))
    folder = Path(path)
    for candidate in (folder, folder / "model"):
        if (candidate / _MANIFEST).exists():
            return candidate
    if not folder.exists():
        raise BundleError(f"there is no model at {folder}: no such folder")
    if (folder / "checkpoints").exists():
        raise BundleError(f"the run {folder} has no model yet: none was validated so far")
    raise BundleError(f"{folder} is neither a run nor a model: it holds no {_MANIFEST}")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        version, files = manifest["format"], manifest["files"]
        if not isinstance(version, int) or not isinstance(files, dict):
            raise TypeError
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise BundleError(f"{path} is damaged; copy the model again") from None
    if version > FORMAT:
        raise BundleError(
            f"{folder} has bundle format {version}, and nmt {__version__} reads up to {FORMAT}; "
            "install a newer nmt"
        )
    if manifest.get("precision") not in STORED_PRECISIONS:
        raise BundleError(
            f"{path} is damaged: precision {manifest.get('precision')!r} is not one of "
            f"{', '.join(STORED_PRECISIONS)}; copy the model again"
        )
    return dict(manifest)


def _load(folder: Path, manifest: dict[str, Any]) -> Bundle:
    hashes = manifest["files"]
    for name in (_CONFIG, _WEIGHTS, _METRICS):
        if name not in hashes:
            raise BundleError(f"{folder / _MANIFEST} is damaged: it does not list {name}")
    for name, expected in hashes.items():
        if name not in _PARTS:
            raise BundleError(f"{folder / _MANIFEST} is damaged: {name!r} is no part of a bundle")
        try:
            actual = sha256(folder / name)
        except OSError as error:
            raise BundleError(
                f"cannot read {folder / name}: {error.strerror}; copy the model again"
            ) from None
        if actual != expected:
            raise BundleError(
                f"{folder / name} is damaged: its SHA-256 is not the one in {_MANIFEST}; "
                "copy the model again"
            )
    try:
        config = load_stored_config(folder / _CONFIG)
        metrics = json.loads((folder / _METRICS).read_bytes())
        tokenizer = load_tokenizer(folder)
        with shapes_only():
            model = build_model(config, tokenizer).eval()
        load_weights(folder / _WEIGHTS, model, manifest["precision"])
    except (ConfigError, OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        told = " ".join(str(error).split())[:300]
        raise BundleError(f"{folder} does not fit nmt {__version__}: {told}") from None
    return Bundle(model, tokenizer, config, metrics, manifest["precision"])


def _download(repository: str) -> Path:
    """Fetch a bundle from the hub, or find it in the hub's cache."""
    require_hub_cache()
    import huggingface_hub
    from huggingface_hub import errors

    names = [_MANIFEST, *_PARTS]
    try:
        folder = Path(
            huggingface_hub.snapshot_download(repository, etag_timeout=5, allow_patterns=names)
        )
        if (folder / _MANIFEST).exists():
            return folder
        problem = f"is no model of nmt: it holds no {_MANIFEST}"
    except errors.HFValidationError:
        problem = "is no name of the form owner/name"
    except errors.RepositoryNotFoundError:
        problem = "is not on the hub, or is private: check the name, or log in"
    except errors.LocalEntryNotFoundError:
        problem = "cannot be fetched: the hub is out of reach, and there is no cached copy"
    except (errors.HfHubHTTPError, OSError) as error:
        problem = f"cannot be fetched: {' '.join(str(error).split())}"
    raise BundleError(f"hf://{repository} {problem}")
