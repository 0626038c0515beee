"""Loads the models of a translator from paths: one, or several as an ensemble."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from nmt.bundle import Bundle, load_bundle
from nmt.errors import UsageError
from nmt.inference.device import find_device, find_precision
from nmt.inference.engine import fast_engine, fits_integers
from nmt.models.seq2seq import Seq2Seq


def load_models(
    paths: Sequence[str | Path], device: str, precision: str
) -> tuple[list[Bundle], torch.device, str]:
    """Load one model, or the models of an ensemble, in the fastest form for the device.

    Args:
        paths: run folders, bundle folders, or `hf://owner/name`; at least one.
        device: auto, cpu or cuda.
        precision: auto, fp32, bf16 or int8; auto is int8 if every bundle is, else fp32.

    Returns:
        The bundles, which share tokenizer and languages; their device; fp32, bf16 or int8.

    Raises:
        BundleError: a bundle is missing or damaged.
        UsageError: an unavailable device or precision, or models with different tokens.
    """
    torch_device = find_device(device)
    if precision not in ("auto", "fp32", "bf16", "int8"):
        raise UsageError(f"precision: {precision!r} is not one of auto, fp32, bf16, int8")
    bundles = [load_bundle(path) for path in paths]
    for path, bundle in zip(paths[1:], bundles[1:], strict=True):
        if wrong := misfit(bundles[0], bundle):
            raise UsageError(f"ensemble: {paths[0]} and {path} {wrong}")
    if precision == "auto":
        rounded = torch_device.type == "cpu" and all(
            bundle.precision == "int8" and fits_integers(bundle.model) for bundle in bundles
        )
        precision = "int8" if rounded else "fp32"
    precision = find_precision(precision, torch_device)
    fast = [replace(each, model=_fastest(each, torch_device, precision)) for each in bundles]
    return fast, torch_device, precision


def _fastest(bundle: Bundle, torch_device: torch.device, precision: str) -> Seq2Seq:
    """Return a bundle's network in the fastest form for a device."""
    if torch_device.type == "cpu" and precision != "bf16":
        return fast_engine(bundle.model, "int8" if precision == "int8" else "fp32")
    return bundle.model.to(torch_device)


def misfit(first: Bundle, other: Bundle) -> str | None:
    """Return the reason why two models cannot form an ensemble; None if they can."""
    mine, others = first.config.data.languages, other.config.data.languages
    if mine != others:
        return f"translate {' → '.join(mine)} and {' → '.join(others)}; they must do the same"
    tokenizers = first.tokenizer, other.tokenizer
    pieces = [(tokenizer.source.model, tokenizer.target.model) for tokenizer in tokenizers]
    if pieces[0] != pieces[1]:
        return (
            "have different tokenizers; train one of them with the other's: "
            "tokenizer.path: RUN/tokenizer"
        )
    return None
