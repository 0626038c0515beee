"""A run against plain torch, against itself interrupted, and what it leaves behind."""

import contextlib
import csv
import dataclasses
import itertools
import json
import math
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

import nmt.training.run as running
from nmt.bundle import build_model, load_bundle
from nmt.config import Config, load_config
from nmt.data.cache import encode_pairs
from nmt.data.corpus import open_corpus
from nmt.data.loader import Updates
from nmt.data.scan import scan_corpus
from nmt.errors import ConfigError, NmtError
from nmt.text.tokenizer import load_tokenizer
from nmt.training.checkpoints import Checkpoints, checkpoint_files
from nmt.training.module import TranslationModule
from nmt.training.random_states import random_states, set_random_states
from nmt.training.schedule import learning_rate_factor
from tests.training.made import (
    Killed,
    assert_equal_runs,
    assert_equal_weights,
    changed,
    last_weights,
    train_until_killed,
)


def test_a_run_leaves_what_the_design_says(tiny_run: Path) -> None:
    expected = {
        "config.yaml",
        "tokenizer",
        "checkpoints",
        "model",
        "metrics.csv",
        "tensorboard",
        "environment.json",
        "train.log",
        "scores.test.json",
        "translations.test.jsonl",
        "report.html",
    }
    assert {path.name for path in tiny_run.iterdir()} == expected
    scores = json.loads((tiny_run / "scores.test.json").read_text())
    assert set(scores) == {"bleu", "chrf", "ter", "sentences"}
    assert set(scores["bleu"]) == {"score", "low", "high", "signature"}
    assert scores["sentences"] == 20
    environment = json.loads((tiny_run / "environment.json").read_text())
    assert environment["seed"] == 1 and environment["data"]["kept"] == 400
    assert len(environment["data"]["fingerprint"]) == 64
    assert environment["versions"]["torch"] == torch.__version__
    assert len(checkpoint_files(tiny_run / "checkpoints")) == 2
    log = (tiny_run / "train.log").read_text()
    assert "device: cpu" in log and "400 pairs, 400 kept" in log
    assert "hypothesis" in log and "update 30: validation loss" in log
    assert "tokens/s" in log and "left" in log


def test_metrics_are_logged_at_their_updates(tiny_run: Path) -> None:
    with open(tiny_run / "metrics.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    trained = [int(row["update"]) for row in rows if row["train_loss"]]
    validated = [int(row["update"]) for row in rows if row["validation_bleu"]]
    assert trained == [5, 10, 15, 20, 25, 30]
    assert validated == [10, 20, 30]
    losses = [float(row["train_loss"]) for row in rows if row["train_loss"]]
    assert losses[-1] < losses[0]
    for row in rows:
        if row["validation_loss"]:
            perplexity = math.exp(float(row["validation_loss"]))
            assert float(row["validation_perplexity"]) == pytest.approx(perplexity, rel=1e-3)


@pytest.mark.parametrize(
    ("accumulate", "r_drop", "weight_decay"), [(1, None, 0.0), (3, None, 0.5), (1, 1.0, 0.0)]
)
def test_a_run_gives_the_weights_of_a_plain_torch_loop(
    tiny_config: Path, tmp_path: Path, accumulate: int, r_drop: float | None, weight_decay: float
) -> None:
    """The same updates without Lightning: sum of token losses ÷ target tokens, clipped, AdamW."""
    settings = {"accumulate": accumulate, "r_drop": r_drop, "weight_decay": weight_decay}
    config = changed(tiny_config, max_updates=8, **settings)
    run = tmp_path / "run"
    running.train(config, run)

    tokenizer = load_tokenizer(run / "tokenizer")
    corpus = open_corpus(config.data)
    pairs = encode_pairs(config, corpus, scan_corpus(corpus), tokenizer)
    updates = Updates(
        pairs,
        tokenizer,
        batch_tokens=256,
        accumulate=accumulate,
        seed=1,
    )
    torch.manual_seed(1)
    model = build_model(config, tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=weight_decay)
    number = epoch = 0
    for done in range(8):
        if number == len(updates.plan(epoch)):
            epoch, number = epoch + 1, 0
        update = updates[epoch, number]
        factor = learning_rate_factor(done, schedule="cosine", warmup_updates=5, total_updates=8)
        optimizer.param_groups[0]["lr"] = 0.01 * factor
        optimizer.zero_grad()
        total = sum(model.loss(batch.source, batch.target, 0.1, r_drop) for batch in update.batches)
        tokens = sum(int((batch.target.lengths - 1).sum()) for batch in update.batches)
        assert tokens == update.target_tokens
        (total / tokens).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        number += 1
    trained = last_weights(run)
    for name, value in model.named_parameters():
        torch.testing.assert_close(trained[f"model.{name}"], value.data, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("stop_after", [7, 14, 29])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_killed_and_resumed_gives_the_same_weights_bit_for_bit(
    tiny_config: Path,
    tiny_run: Path,
    tmp_path: Path,
    stop_after: int,
    workers: int,
) -> None:
    if workers and stop_after != 14:
        pytest.skip("one place is enough to see that workers change nothing")
    config = changed(tiny_config, workers=workers)
    if workers:
        whole = tmp_path / "whole"
        running.train(config, whole)
    else:
        whole = tiny_run
    run = tmp_path / "run"
    train_until_killed(config, run, after=stop_after)
    running.train(config, run, resume=True)
    assert_equal_runs(run, whole)


def test_a_finished_run_resumes_to_nothing_and_scores_what_is_missing(
    tiny_config: Path, tmp_path: Path
) -> None:
    config = changed(tiny_config, max_updates=10)
    run = tmp_path / "run"
    running.train(config, run, resume=True)  # there is none: it starts
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}
    (run / "scores.test.json").unlink()
    running.train(config, run, resume=True)
    assert (run / "scores.test.json").exists()
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")} == before


def test_a_test_split_that_lies_elsewhere_is_scored_anew(
    tiny_run: Path, tiny_config: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    before = (run / "scores.test.json").read_bytes()
    words = ["--data.splits.test", str(corpus_folder / "val")]
    running.train(load_config(tiny_config, words), run, resume=True)
    scores = json.loads((run / "scores.test.json").read_bytes())
    assert scores != json.loads(before)
    references = [
        row["reference"] for row in map(json.loads, (run / "translations.test.jsonl").open())
    ]
    assert references == (corpus_folder / "val.en").read_text().splitlines()


def test_training_twice_gives_the_same_model(
    tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    running.train(load_config(tiny_config), tmp_path / "run")
    assert_equal_weights(tmp_path / "run", tiny_run)


def script(monkeypatch: pytest.MonkeyPatch, **scores: Iterator[float]) -> None:
    """Let validations give scores of our own, one after the other; others are 1."""

    def scripted(self: TranslationModule, rows: object) -> dict[str, float]:
        names = ("loss", "perplexity", "bleu", "chrf")
        return {name: next(scores.get(name, itertools.repeat(1.0))) for name in names}

    monkeypatch.setattr(TranslationModule, "_validation_scores", scripted)


def test_patience_stops_and_the_best_model_is_the_one_kept(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([3.0, 5.0, 4.0, 5.0, 9.0])

    script(monkeypatch, bleu=scores)
    config = changed(tiny_config, validate_every=4, patience=2)
    running.train(config, tmp_path / "run")
    metrics = load_bundle(tmp_path / "run").metrics
    assert metrics["update"] == 8 and metrics["validation"]["bleu"] == 5.0
    assert checkpoint_files(tmp_path / "run" / "checkpoints")[-1].stem == "update-000000016"


@pytest.mark.parametrize(("monitor", "best"), [("bleu", 12), ("chrf", 8), ("loss", 4)])
def test_the_monitored_score_chooses_the_best(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, monitor: str, best: int
) -> None:
    rows = [(1.0, 1.0, 1.0), (2.0, 2.0, 9.0), (3.0, 3.0, 3.0)]
    loss, bleu, chrf = (iter(column) for column in zip(*rows, strict=True))
    script(monkeypatch, loss=loss, bleu=bleu, chrf=chrf)
    config = changed(tiny_config, validate_every=4, max_updates=12, monitor=monitor)
    running.train(config, tmp_path / "run")
    assert load_bundle(tmp_path / "run").metrics["update"] == best


def test_plateau_halves_the_rate_after_a_validation_without_gain(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, bleu=iter([5.0, 4.0, 6.0, 1.0]))
    config = changed(tiny_config, schedule="plateau", validate_every=6, max_updates=24, log_every=1)
    running.train(config, tmp_path / "run")
    with open(tmp_path / "run" / "metrics.csv", newline="") as stream:
        rows = {int(r["update"]): r["learning_rate"] for r in csv.DictReader(stream) if r["epoch"]}
    assert [float(rows[update]) for update in (12, 13, 14, 18, 19, 24)] == [
        pytest.approx(rate) for rate in (0.01, 0.005, 0.005, 0.005, 0.005, 0.005)
    ]


def test_the_logged_rate_is_that_of_the_logged_update(tiny_config: Path, tmp_path: Path) -> None:
    class Stop(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *_: object) -> None:
            trainer.should_stop = trainer.global_step == 6

    config = changed(
        tiny_config, schedule="inverse_sqrt", warmup_updates=4, log_every=1, patience=3
    )
    running.train(config, tmp_path / "run", callbacks=[Stop()])
    with open(tmp_path / "run" / "metrics.csv", newline="") as stream:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(stream) if row["epoch"]]
    expected = [0.0025, 0.005, 0.0075, 0.01, 0.01 * (4 / 5) ** 0.5, 0.01 * (4 / 6) ** 0.5]
    assert rates == pytest.approx(expected, rel=1e-5)
    # The callback stopped it, not patience.
    assert "did not improve" not in (tmp_path / "run" / "train.log").read_text()


@pytest.mark.parametrize("fails", [False, True])
def test_signals_are_handled_afterwards_as_before(
    tiny_config: Path, tmp_path: Path, fails: bool
) -> None:
    class Fail(lightning.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            if fails:
                raise NmtError("fails")

    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = [signal.getsignal(kind) for kind in kinds]
    with pytest.raises(NmtError) if fails else contextlib.nullcontext():
        config = changed(tiny_config, max_updates=2, warmup_updates=1)
        running.train(config, tmp_path / "run", callbacks=[Fail()])
    assert [signal.getsignal(kind) for kind in kinds] == before


def test_validation_loss_is_the_models_own_without_smoothing(
    tiny_run: Path, tiny_config: Path
) -> None:
    from nmt.models.batch import pad

    bundle = load_bundle(tiny_run)
    total = tokens = 0.0
    for source, target in open_corpus(load_config(tiny_config).data).pairs("validation"):
        read = [*bundle.tokenizer.source.encode([source])[0], bundle.tokenizer.source.eos_id]
        vocabulary = bundle.tokenizer.target
        written = [vocabulary.bos_id, *vocabulary.encode([target])[0], vocabulary.eos_id]
        total += bundle.model.loss(pad([read]), pad([written])).item()
        tokens += len(written) - 1
    assert bundle.metrics["validation"]["loss"] == pytest.approx(total / tokens, rel=1e-4)


def test_a_bundle_can_be_trained_further(tiny_config: Path, tiny_run: Path, tmp_path: Path) -> None:
    """One update from its weights, with its tokenizer and its network's shape."""
    config = changed(
        tiny_config,
        init_from=str(tiny_run),
        max_updates=1,
        warmup_updates=0,
        learning_rate=1e-9,
        schedule="constant",
    )
    config = dataclasses.replace(config, model=Config().model)  # all left to the bundle
    running.train(config, tmp_path / "run")
    base, tuned = load_bundle(tiny_run), load_bundle(tmp_path / "run")
    assert tuned.config.model == base.config.model
    assert tuned.tokenizer.source.model == base.tokenizer.source.model
    for name, value in base.model.state_dict().items():
        torch.testing.assert_close(tuned.model.state_dict()[name], value, atol=1e-6, rtol=0)


def test_a_network_unlike_the_bundles_is_refused(
    tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    config = changed(tiny_config, init_from=str(tiny_run))
    config = dataclasses.replace(
        config, model=dataclasses.replace(config.model, hidden_size=64, dropout=0.5)
    )
    told = r"model.hidden_size: 64 does not fit the model of training.init_from, which has 32"
    with pytest.raises(NmtError, match=told):
        running.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_warm_up_that_the_run_never_leaves_is_told(tiny_config: Path, tmp_path: Path) -> None:
    config = changed(tiny_config, max_updates=None, max_epochs=1, warmup_updates=1000)
    running.train(config, tmp_path / "run")
    warning = r"training\.warmup_updates: 1000: the \d+ updates end before the learning rate"
    assert re.search(warning, (tmp_path / "run" / "train.log").read_text())


def test_divergence_is_an_error_and_not_a_model(tiny_config: Path, tmp_path: Path) -> None:
    config = changed(
        tiny_config, learning_rate=10.0, clip_norm=0.0, warmup_updates=0, validate_every=100
    )
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, cell="relu"))
    with pytest.raises(NmtError, match=r"training diverged: the loss is"):
        running.train(config, tmp_path / "run")


def test_random_states_come_back_through_plain_values(tmp_path: Path) -> None:
    import random

    import numpy as np

    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), torch.rand(1).item()

    torch.save(random_states(), tmp_path / "states")
    first = draw()
    assert draw() != first
    set_random_states(torch.load(tmp_path / "states", weights_only=True))
    assert draw() == first


@pytest.mark.parametrize(
    "settings", [{"validate_every": 7, "checkpoint_every": 5}, {"patience": 1}], ids=str
)
def test_a_run_killed_at_its_very_end_ends_as_if_it_had_not_been(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, int]
) -> None:
    """After the last update, before the last checkpoint: the run must not count as finished."""
    rate = 1e-9 if "patience" in settings else 0.01
    config = changed(tiny_config, learning_rate=rate, monitor="loss", **settings)
    whole, run = tmp_path / "whole", tmp_path / "run"
    running.train(config, whole)

    def dying(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "finish", dying)
        with pytest.raises(Killed):
            running.train(config, run)
    running.train(config, run, resume=True)
    assert_equal_runs(run, whole)


def test_a_finished_run_needs_its_data_no_more(tiny_config: Path, tmp_path: Path) -> None:
    config = changed(tiny_config, max_updates=10)
    running.train(config, tmp_path / "run")
    splits = {name: str(tmp_path / "gone") for name in ("train", "validation", "test")}
    stored = (tmp_path / "run" / "config.yaml").read_text()
    for place in (config.data.splits or {}).values():
        stored = stored.replace(str(place), str(tmp_path / "gone"))
    (tmp_path / "run" / "config.yaml").write_text(stored)
    gone = dataclasses.replace(config, data=dataclasses.replace(config.data, splits=splits))
    running.train(gone, tmp_path / "run", resume=True)


def test_a_logger_that_is_not_installed_is_refused_before_anything_is_made(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = changed(tiny_config, loggers=["csv", "wandb"])
    with pytest.raises(ConfigError, match=r"training.loggers: wandb is not installed"):
        running.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_has_the_loggers_that_are_named(tiny_config: Path, tmp_path: Path) -> None:
    settings = {"max_updates": 4, "warmup_updates": 0, "validate_every": 4}
    running.train(changed(tiny_config, loggers=[], **settings), tmp_path / "run")
    assert {"metrics.csv", "tensorboard"}.isdisjoint(one.name for one in tmp_path.glob("run/*"))
    assert load_bundle(tmp_path / "run").metrics["update"] == 4


def test_a_resumed_run_is_one_run_of_mlflow(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run, in a folder of the same name, is another one there."""
    tracking = pytest.importorskip("mlflow.tracking")
    store = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    settings: dict[str, Any] = {"schedule": "constant", "loggers": ["mlflow"]}
    for place in ("a", "b"):
        for updates in (2, 4):
            config = changed(
                tiny_config, max_updates=updates, validate_every=4, warmup_updates=0, **settings
            )
            running.train(config, tmp_path / place / "run", resume=True)
    client = tracking.MlflowClient(store)
    (experiment,) = client.search_experiments(filter_string="name != 'Default'")
    found = client.search_runs([experiment.experiment_id])
    assert [one.info.run_name for one in found] == ["run", "run"]
    for one in found:
        assert len(client.get_metric_history(one.info.run_id, "validation/bleu")) == 2
