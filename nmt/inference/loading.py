"""From paths to what a translator needs: one model, or several that predict together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nmt.bundle import Bundle, load_bundle
from nmt.config import Config
from nmt.errors import UsageError
from nmt.inference.device import find_device, find_precision
from nmt.inference.engine import fast_engine, fits_integers
from nmt.models.seq2seq import Seq2Seq
from nmt.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class LoadedModels:
    """Loaded models, ready to search with.

    Attributes:
        models: the networks that predict together, in the form that is fastest on the device.
        tokenizer: text to ids and back; the same for all.
        config: how the first was made.
        device: where they are.
        precision: fp32, bf16 or int8.
    """

    models: list[Seq2Seq]
    tokenizer: Tokenizer
    config: Config
    device: torch.device
    precision: str


def load_models(paths: Sequence[str | Path], device: str, precision: str) -> LoadedModels:
    """Load one model, or several as one.

    Args:
        paths: run folders, bundle folders, or `hf://owner/name`; at least one.
        device: auto, cpu or cuda.
        precision: auto, fp32, bf16 or int8; auto is int8 where every bundle is, else fp32.

    Raises:
        BundleError: nothing there, or damaged.
        UsageError: a device or precision that is not there, or models that do not read and write
            the same tokens.
    """
    place = find_device(device)
    if precision not in ("auto", "fp32", "bf16", "int8"):
        raise UsageError(f"precision: {precision!r} is not one of auto, fp32, bf16, int8")
    bundles = [load_bundle(path) for path in paths]
    for path, bundle in zip(paths[1:], bundles[1:], strict=True):
        if wrong := misfit(bundles[0], bundle):
            raise UsageError(f"ensemble: {paths[0]} and {path} {wrong}")
    if precision == "auto":
        rounded = place.type == "cpu" and all(
            bundle.precision == "int8" and fits_integers(bundle.model) for bundle in bundles
        )
        precision = "int8" if rounded else "fp32"
    precision = find_precision(precision, place)
    return LoadedModels(
        models=[_fastest(bundle, place, precision) for bundle in bundles],
        tokenizer=bundles[0].tokenizer,
        config=bundles[0].config,
        device=place,
        precision=precision,
    )


def _fastest(bundle: Bundle, place: torch.device, precision: str) -> Seq2Seq:
    """Return a bundle's network in the form that is fastest on a device."""
    if place.type == "cpu" and precision != "bf16":
        return fast_engine(bundle.model, "int8" if precision == "int8" else "fp32")
    return bundle.model.to(place)


def misfit(first: Bundle, other: Bundle) -> str | None:
    """Say why two models cannot predict together; None where they can."""
    mine, others = (
        (one.config.data.source_language, one.config.data.target_language) for one in (first, other)
    )
    if mine != others:
        return f"translate {' → '.join(mine)} and {' → '.join(others)}; they must do the same"
    pieces = [(one.tokenizer.source.model, one.tokenizer.target.model) for one in (first, other)]
    if pieces[0] != pieces[1]:
        return (
            "have different tokenizers; train one of them with the other's: "
            "tokenizer.path: RUN/tokenizer"
        )
    return None
