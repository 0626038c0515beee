"""The provenance of a model, and its model card: a bundle's README.md."""

import re
from typing import Any, TypedDict

import yaml

from nmt import __version__
from nmt.config import Config, DataConfig, ModelConfig
from nmt.evaluation.languages import primary_language


class DataFacts(TypedDict, total=False):
    """The facts on the data in `environment.json`; see `nmt.data.encoded.Facts`."""

    fingerprint: str
    pairs: int
    kept: int
    source_tokens: int
    target_tokens: int
    found: dict[str, int]
    left_out: dict[str, int]
    train: str
    validation: str
    tokenizer: str
    weights: list[float]
    distill: dict[str, Any] | None


class Environment(TypedDict, total=False):
    """The contents of `environment.json`."""

    seed: int
    data: DataFacts
    versions: dict[str, str]
    machine: dict[str, Any]


class Tuned(TypedDict):
    """The tuning of a bundle's search."""

    split: str | None
    beam_size: int
    length_penalty: float
    bleu: float
    signature: str


class Scored(TypedDict):
    """A score of a test split; see `nmt.evaluation.metrics.Score`."""

    score: float
    low: float
    high: float
    signature: str


class Published(TypedDict):
    """The facts that `nmt push` adds to a model card."""

    address: str
    license: str | None
    scores: dict[str, dict[str, Scored]]
    """By test split and metric."""


class Metrics(Environment, total=False):
    """The contents of `metrics.json`."""

    update: int
    validation: dict[str, float]
    averaged_updates: list[int]
    tuned: Tuned
    rounded: bool
    published: Published


def model_card(config: Config, metrics: dict[str, Any], precision: str) -> str:
    """Write the card.

    Args:
        config: how the model was made.
        metrics: as in the bundle.
        precision: how the weights are stored.
    """
    data, model = config.data, config.model
    published = metrics.get("published")
    return f"""---
{_metadata(data, published)}---
# {data.source_language} → {data.target_language}

{_networks(model)} ({model.layers} layers of {model.hidden_size}, cell {model.cell}, attention
{model.attention}), trained by nmt {metrics.get("versions", {}).get("nmt", __version__)} on
`{data.public_corpus}` ({metrics.get("data", {}).get("kept", 0):,} sentence pairs).
Weights: {_origin(metrics, precision)}.{_search(metrics)}

    nmt translate {published["address"] if published else "FOLDER"} input.{data.source_language} \
-o output.{data.target_language}

{_scores(metrics)}
{_test_scores(metrics)}
`config.yaml` has every setting, `metrics.json` the data's fingerprints and all versions.
"""


def _metadata(data: DataConfig, published: Published | None) -> str:
    """Return the card's metadata for the hub, in YAML."""
    languages = map(primary_language, data.languages)
    head: dict[str, Any] = {"language": list(dict.fromkeys(languages))}
    head |= {"library_name": "nmt", "pipeline_tag": "translation"}
    corpus = re.sub("[@#].*", "", data.public_corpus.removeprefix("hub:"))
    if re.fullmatch(r"hub:[\w.-]+/[\w.-]+([@#].*)?", data.public_corpus):
        head["datasets"] = [corpus]
    if published is not None:
        if published["license"] is not None:
            head["license"] = published["license"]
        results = [
            {
                "task": {"type": "translation"},
                "dataset": {"type": corpus, "name": data.public_corpus, "split": split},
                "metrics": [_result(name, score) for name, score in scores.items()],
            }
            for split, scores in published["scores"].items()
        ]
        if results:
            name = published["address"].rpartition("/")[2]
            head["model-index"] = [{"name": name, "results": results}]
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True, default_flow_style=None)


def _result(name: str, score: Scored) -> dict[str, Any]:
    details = {key: value for key, value in score.items() if key != "score"}
    return {"type": name.lower(), "name": name, "value": score["score"], "args": details}


def _networks(model: ModelConfig) -> str:
    if model.encoder == "rnn":
        return "Two recurrent networks"
    read = "A bag of words" if model.encoder == "bag" else f"The last {model.window} tokens"
    return f"{read} and a recurrent decoder"


def _search(metrics: dict[str, Any]) -> str:
    """Describe the tuning of the search, if any."""
    tuned = metrics.get("tuned")
    if tuned is None:
        return ""
    text = f"the {tuned['split']} split" if tuned["split"] else "other text"
    return (
        f" Its search was tuned on\n{text}: beam size {tuned['beam_size']}, length penalty "
        f"{tuned['length_penalty']:g}, BLEU {tuned['bleu']:.2f}\n({tuned['signature']})."
    )


def _origin(metrics: dict[str, Any], precision: str) -> str:
    """Describe the storage and the origin of the weights."""
    changes = [precision]
    if "averaged_updates" in metrics:
        updates = ", ".join(f"{update:,}" for update in metrics["averaged_updates"])
        changes.append(f"the mean of those after the updates {updates}")
    if precision == "int8" or metrics.get("rounded"):
        scored = " after the scores below were taken" if "validation" in metrics else ""
        changes.append(f"rounded to int8{scored}")
    return ", ".join(changes)


def _test_scores(metrics: dict[str, Any]) -> str:
    """Return a table of the test scores; empty if there are none."""
    published = metrics.get("published")
    if not published or not published["scores"]:
        return "\n"
    before = " and before its search was tuned" if "tuned" in metrics else ""
    escaped = r"\|"  # a bar ends a cell, in code too
    rows = [
        f"| {split} | {name} | {one['score']:.2f} [{one['low']:.2f}, {one['high']:.2f}] "
        f"| `{one['signature'].replace('|', escaped)}` |"
        for split, scores in published["scores"].items()
        for name, one in scores.items()
    ]
    heading = f"Scores on test splits at the end of training{before}, with 95 % intervals:"
    head = ["| split | metric | score | signature |", "|---|---|---|---|"]
    return "\n".join(["", heading, "", *head, *rows, "", ""])


def _scores(metrics: dict[str, Any]) -> str:
    scores = metrics.get("validation")
    if scores is None:
        return "No scores on the validation split are stored."
    heading = "Scores on the validation split, greedy search, at update"
    rows = [f"| {name} | {value:.4g} |" for name, value in scores.items()]
    table = ["", "| score | value |", "|---|---|", *rows]
    return "\n".join([f"{heading} {metrics.get('update', 0):,}:", *table])
