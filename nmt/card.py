"""The model card: what a bundle's README.md tells people."""

from typing import Any

from nmt import __version__
from nmt.config import Config


def model_card(config: Config, metrics: dict[str, Any], precision: str) -> str:
    """Write the card.

    Args:
        config: how the model was made.
        metrics: as in the bundle.
        precision: how the weights are stored.
    """
    data, model = config.data, config.model
    told = ", rounded to int8 after the scores below were taken"
    stored = f"{precision}{told if precision == 'int8' or metrics.get('rounded') else ''}"
    scores = metrics.get("validation", {})
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in scores.items())
    return f"""---
language: [{data.source_language}, {data.target_language}]
library_name: nmt
pipeline_tag: translation
---
# {data.source_language} → {data.target_language}

Two recurrent networks ({model.layers} layers of {model.hidden_size}, cell {model.cell}, attention
{model.attention}), trained by nmt {__version__} on `{data.corpus}`
({metrics.get("data", {}).get("kept", 0):,} sentence pairs).{_search(metrics)} Weights: {stored}.

    nmt translate FOLDER input.{data.source_language} -o output.{data.target_language}

Scores on the validation split, greedy search, at update {metrics.get("update", 0):,}:

| score | value |
|---|---|
{rows}

`config.yaml` has every setting, `metrics.json` the data's fingerprints and all versions.
"""


def _search(metrics: dict[str, Any]) -> str:
    """Say how the search was tuned, where it was."""
    tuned = metrics.get("tuned")
    if tuned is None:
        return ""
    text = f"the {tuned['split']} split" if tuned["split"] else "other text"
    return (
        f" Its search was tuned on\n{text}: beam size {tuned['beam_size']}, length penalty "
        f"{tuned['length_penalty']:g}, BLEU {tuned['bleu']:.2f}\n({tuned['signature']})."
    )
