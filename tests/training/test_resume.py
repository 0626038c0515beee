"""What may change between a run and its resumption, and which checkpoint it goes on from."""

import dataclasses
import logging
import zipfile
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger

import nmt.training.run as running
from nmt.config import Config, load_config
from nmt.errors import NmtError, UsageError
from nmt.reading import read_rows
from nmt.storage import locked
from nmt.training.checkpoints import checkpoint_files, newest_checkpoint
from nmt.training.module import TranslationModule
from nmt.training.resume import resumed_config
from tests.training.made import (
    KillAt,
    Killed,
    assert_equal_runs,
    assert_equal_weights,
    changed,
    last_checkpoint,
    last_weights,
    opened,
    train_until_killed,
    with_data,
)


@pytest.fixture(scope="module")
def constant(tiny_config: Path) -> Config:
    """Updates that do not depend on where training ends."""
    settings = {"schedule": "constant", "max_updates": 20, "validate_every": 8, "monitor": "loss"}
    return changed(tiny_config, **settings)


@pytest.fixture(scope="module")
def short_run(constant: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `constant`. Do not change it."""
    run = tmp_path_factory.mktemp("resume") / "run"
    running.train(constant, run)
    return run


def copied(run: Path, folder: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run, folder / "run"))


def test_an_extended_run_has_the_weights_of_one_that_was_longer_from_the_start(
    constant: Config, short_run: Path, tmp_path: Path
) -> None:
    """Update 20, where it ended, is no multiple of 8: the longer run does not validate there."""
    longer = changed(constant, max_updates=33)
    whole = tmp_path / "whole"
    running.train(longer, whole)
    run = copied(short_run, tmp_path)
    running.train(longer, run, resume=True)
    assert_equal_weights(run, whole)
    # What the scores are of has changed, too.
    assert (run / "scores.test.json").read_text() == (whole / "scores.test.json").read_text()
    assert load_config(run / "config.yaml").training.max_updates == 33
    name = "update-000000033.ckpt"
    assert [checkpoint_files(folder / "checkpoints")[-1].name for folder in (run, whole)] == [
        name,
        name,
    ]


class Steps(DummyLogger):
    """Keeps the step and the value of every training loss."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[tuple[int, str]] = []

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        if "train/loss" in metrics and step is not None:
            self.losses.append((step + 1, f"{metrics['train/loss']:.6g}"))


def test_loggers_of_an_extended_run_have_each_loss_at_its_update(
    constant: Config, tmp_path: Path
) -> None:
    """Update 8, where the run first ends, is validated."""
    run, loggers = tmp_path / "run", [Steps(), Steps()]
    for updates, logger in zip((8, 20), loggers, strict=True):
        running.train(changed(constant, max_updates=updates), run, resume=True, loggers=[logger])
    rows = [row for row in read_rows(run / "metrics.csv")[0] if "train_loss" in row]
    assert [update for update, _ in loggers[1].losses] == [10, 15, 20]
    written = [(int(row["update"]), row["train_loss"]) for row in rows]
    assert loggers[0].losses + loggers[1].losses == written


def test_an_extension_that_is_killed_is_not_forgotten(
    constant: Config, short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(short_run, tmp_path)
    longer = changed(constant, max_updates=33)
    with monkeypatch.context() as patch:

        def dying(*_: Any, **__: Any) -> None:
            raise Killed

        patch.setattr(running, "fit", dying)
        with pytest.raises(Killed):
            running.train(longer, run, resume=True)
    running.train(longer, run, resume=True)
    assert checkpoint_files(run / "checkpoints")[-1].name == "update-000000033.ckpt"


def test_patience_and_plateau_forget_the_validation_at_the_end(
    tiny_config: Path, tmp_path: Path
) -> None:
    config = changed(tiny_config, schedule="plateau", monitor="chrf", patience=9, validate_every=6)
    longer = changed(config, max_updates=40)
    running.train(longer, tmp_path / "whole")
    running.train(changed(config, max_updates=20), tmp_path / "run")
    running.train(longer, tmp_path / "run", resume=True)
    assert_equal_weights(tmp_path / "run", tmp_path / "whole")


def test_patience_that_ran_out_ends_a_longer_run_too(tiny_config: Path, tmp_path: Path) -> None:
    rate = {"schedule": "constant", "learning_rate": 1e-9}
    config = changed(tiny_config, patience=1, validate_every=4, max_updates=40, **rate)
    for longer, patience, updates in ((40, 1, 8), (60, 1, 8), (60, 2, 12)):
        config = changed(config, max_updates=longer, patience=patience)
        running.train(config, tmp_path / "run", resume=True)
        assert newest_checkpoint(tmp_path / "run" / "checkpoints").update == updates  # type: ignore[union-attr]


def test_patience_that_is_added_counts_from_the_best_so_far(
    constant: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that rises, and then falls without reaching its best, is no gain."""
    losses = iter([0.1, 0.9, 0.8, 0.7, 0.6])

    def falling(self: TranslationModule, rows: object) -> dict[str, float]:
        return dict.fromkeys(("loss", "perplexity", "bleu", "chrf"), next(losses))

    monkeypatch.setattr(TranslationModule, "_validation_scores", falling)
    config = changed(constant, max_updates=10, validate_every=5)
    running.train(config, tmp_path / "run")
    running.train(changed(config, max_updates=40, patience=3), tmp_path / "run", resume=True)
    assert last_checkpoint(tmp_path / "run")["global_step"] == 20


def test_a_folder_of_a_start_that_was_killed_at_once_is_taken(
    constant: Config, short_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".config.yaml.x.nmt.tmp").write_text("half")
    running.train(changed(constant, max_updates=2, warmup_updates=0), run)
    assert sorted(path.name for path in run.glob(".*")) == []


def test_a_line_of_the_metrics_that_broke_off_is_dropped(
    constant: Config, short_run: Path, tmp_path: Path
) -> None:
    run = copied(short_run, tmp_path)
    with open(run / "metrics.csv", "a") as stream:
        stream.write("\0\0\0")
    running.train(changed(constant, max_updates=22), run, resume=True)
    assert "\0" not in (run / "metrics.csv").read_text()


def test_a_run_that_ended_with_its_epochs_can_be_extended(constant: Config, tmp_path: Path) -> None:
    longer = changed(constant, max_updates=None, max_epochs=2)
    running.train(longer, tmp_path / "whole")
    run = tmp_path / "run"
    running.train(changed(longer, max_epochs=1), run)
    assert newest_checkpoint(run / "checkpoints").finished  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=r"max_epochs: 1 is fewer than the 2 epochs that the run"):
        running.train(changed(longer, max_epochs=1), tmp_path / "whole", resume=True)
    running.train(longer, run, resume=True)
    assert_equal_weights(run, tmp_path / "whole")


def test_the_cosine_schedule_cannot_be_extended(tiny_config: Path, tiny_run: Path) -> None:
    told = (
        r"--resume: training.max_updates: 60 in place of 30 .* the cosine schedule ends with the "
        r"training; keep it, or train further in another folder with --training.init_from"
    )
    with pytest.raises(UsageError, match=told):
        running.train(changed(tiny_config, max_updates=60), tiny_run, resume=True)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"max_updates": 10}, "training.max_updates: 10 is fewer than the 20 updates that the run"),
        ({"learning_rate": 0.5}, "was made with another training.learning_rate; give the same"),
        ({"validate_every": 9}, "was made with another training.validate_every; give the same"),
        (
            {"accumulate": 2},
            "training.accumulate: 2 on 1 processes makes updates of 2 micro-batches, and the run's "
            "have 1",
        ),
    ],
)
def test_what_would_have_changed_past_updates_is_refused_by_its_key(
    constant: Config, short_run: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        running.train(changed(constant, **settings), short_run, resume=True)


def test_what_changes_nothing_may_change(constant: Config, short_run: Path) -> None:
    free = changed(constant, log_every=1, workers=2, patience=9)
    free = changed(free, checkpoint_every=3, keep_checkpoints=7)
    splits = {**(constant.data.splits or {}), "another": "elsewhere"}
    free = dataclasses.replace(free, data=dataclasses.replace(free.data, splits=splits, cache="x"))
    assert resumed_config(short_run, free) == free


def test_the_same_text_may_lie_elsewhere_and_another_may_not(
    tiny_config: Path, tmp_path: Path, corpus_folder: Path
) -> None:
    from tests.conftest import write_pairs

    lines = [(corpus_folder / f"train.{tag}").read_text().splitlines() for tag in ("de", "en")]
    pairs = list(zip(*lines, strict=True))
    config = changed(tiny_config, max_updates=10)
    running.train(config, tmp_path / "run")
    splits = config.data.splits | {"train": str(tmp_path / "moved")}  # type: ignore[operator]
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, splits=splits))
    write_pairs(tmp_path / "moved", pairs)
    checkpoint_files(tmp_path / "run" / "checkpoints")[-1].unlink()
    running.train(config, tmp_path / "run", resume=True)
    checkpoint_files(tmp_path / "run" / "checkpoints")[-1].unlink()
    write_pairs(tmp_path / "moved", pairs[:300])
    with pytest.raises(NmtError, match=r"the text of data.splits.train is not what the run"):
        running.train(config, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"splits": 2.0}, "the weights in data.splits.train are not what the run"),
        ({"max_length": 20}, "what data.filters leave out is not what the run"),
    ],
)
def test_other_pairs_of_the_same_text_are_another_run(
    constant: Config, short_run: Path, tmp_path: Path, data: dict[str, Any], told: str
) -> None:
    run = copied(short_run, tmp_path)
    checkpoint_files(run / "checkpoints")[-1].unlink()
    if "splits" in data:
        places = dict(constant.data.splits or {})
        places["train"] = [{"place": str(places["train"]), "weight": data["splits"]}]
        data = {"splits": places}
    config = dataclasses.replace(constant, data=dataclasses.replace(constant.data, **data))
    if "max_length" in data:  # a refusal of its own; here the config was changed with it
        text = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(text.replace("max_length: 100", "max_length: 20"))
    with pytest.raises(NmtError, match=told):
        running.train(config, run, resume=True)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    constant: Config,
    short_run: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    caplog.set_level("INFO", logger="nmt")
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    run = copied(short_run, tmp_path)
    newest = checkpoint_files(run / "checkpoints")[-1]
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        del content[1000:]
    else:
        with zipfile.ZipFile(newest) as file:
            largest = max(file.infolist(), key=lambda entry: entry.file_size)
        tensor = largest.header_offset + len(largest.FileHeader())
        content[tensor + largest.file_size // 2] ^= 1  # one bit, in the middle of a tensor
    newest.write_bytes(content)
    running.train(constant, run, resume=True)
    assert f"the checkpoint {newest} is damaged" in caplog.text
    assert "resuming from" in caplog.text and "update-000000016.ckpt" in caplog.text
    assert newest.with_suffix(".damaged").read_bytes() == content
    assert_equal_weights(run, short_run)


def test_a_run_without_any_whole_checkpoint_is_refused(
    constant: Config, short_run: Path, tmp_path: Path
) -> None:
    run = copied(short_run, tmp_path)
    for path in checkpoint_files(run / "checkpoints"):
        path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"every checkpoint in .* is damaged; start again"):
            running.train(constant, run, resume=True)


def test_two_processes_do_not_train_in_one_folder(
    constant: Config, short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(short_run, tmp_path)
    monkeypatch.setattr(running, "locked", lambda folder: locked(folder, patience=0.1))
    with locked(run), pytest.raises(UsageError, match=r"is in use by another process"):
        running.train(constant, run, resume=True)
    running.train(constant, run, resume=True)


def test_checkpoints_hold_plain_values_only(short_run: Path) -> None:
    """They load without running code from them."""
    path = checkpoint_files(short_run / "checkpoints")[-1]
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["run"]["micro_batches"] == 1 and last_weights(short_run)


def test_patience_may_change_on_resume(
    constant: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning's own callback takes the patience of the checkpoint."""
    monkeypatch.setattr(
        TranslationModule,
        "_validation_scores",
        lambda self, rows: dict.fromkeys(("loss", "perplexity", "bleu", "chrf"), 1.0),
    )
    config = changed(constant, max_updates=40, validate_every=5, patience=2)
    train_until_killed(config, tmp_path / "run", after=12)
    running.train(changed(config, patience=4), tmp_path / "run", resume=True)
    assert last_checkpoint(tmp_path / "run")["global_step"] == 25  # the best was at update 5


@pytest.mark.parametrize("hook", ["on_validation_start", "on_validation_end", "on_train_batch_end"])
@pytest.mark.parametrize("after", [5, 21, 25])
def test_a_kill_around_checkpoint_and_validation_changes_nothing(
    uneven: Config, uneven_run: Path, tmp_path: Path, hook: str, after: int
) -> None:
    """Both fall on one update; 21 is the end of the first epoch, which has no validation."""
    if "validation" in hook and after == 21:
        pytest.skip("no validation there")
    train_until_killed(uneven, tmp_path / "run", after=after, hook=hook)
    running.train(uneven, tmp_path / "run", resume=True)
    assert_equal_runs(tmp_path / "run", uneven_run)


@pytest.fixture(scope="module")
def uneven(tiny_config: Path) -> Config:
    """Epochs of unequal length: fractional weights draw another number of pairs for each."""
    config = changed(tiny_config, validate_every=5, log_every=3, patience=50, batch_tokens=240)
    train = (config.data.splits or {})["train"]
    splits = {**(config.data.splits or {}), "train": [{"place": str(train), "weight": 0.6}]}
    config = with_data(config, splits=splits)
    lengths = {len(opened(config).updates().plan(epoch)) for epoch in range(4)}
    assert len(lengths) > 1 and min(lengths) < 30
    return config


@pytest.fixture(scope="module")
def uneven_run(uneven: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `uneven`. Do not change it."""
    run = tmp_path_factory.mktemp("uneven") / "run"
    running.train(uneven, run)
    return run


def test_every_pair_comes_as_often_as_its_weight_says(uneven: Config, tmp_path: Path) -> None:
    """Over whole epochs, through Lightning's loops and across a kill."""
    config = changed(uneven, max_updates=None, max_epochs=3)
    seen: list[tuple[int, int]] = []

    class Notes(lightning.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, _: Any):  # type: ignore[no-untyped-def]
            seen.append((batch.epoch, batch.number))

    with pytest.raises(Killed):
        running.train(
            config, tmp_path / "run", callbacks=[Notes(), KillAt(25, "on_train_batch_start")]
        )
    running.train(config, tmp_path / "run", resume=True, callbacks=[Notes()])
    updates = opened(config).updates()
    expected = [(epoch, n) for epoch in range(3) for n in range(len(updates.plan(epoch)))]
    assert seen == expected


def test_another_number_of_threads_is_warned_about(
    constant: Config,
    short_run: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    run = copied(short_run, tmp_path)
    running.train(changed(constant, max_updates=22), run, resume=True)
    assert "began with" not in caplog.text
    running.train(changed(constant, max_updates=24, threads=2), run, resume=True)
    assert "began with 1 threads and resumes with 2" in caplog.text
