"""The module and the data module in a stranger's Trainer, with stock callbacks and loggers."""

import csv
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import lightning
import pytest
import sacrebleu
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger

import nmt
from nmt.bundle import load_bundle
from nmt.config import Config, load_config
from nmt.data.loader import Update
from nmt.errors import ConfigError, DataError, UsageError
from nmt.inference.translator import Translator
from nmt.training.checkpoints import newest_checkpoint
from nmt.training.data_module import ValidationLoader
from nmt.training.schedule import learning_rate_factor
from tests.conftest import ROOT
from tests.training.made import KillAt, Killed, assert_equal_weights, changed, opened, with_model

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Rates(lightning.Callback):
    """Notes the learning rate of every update."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer: lightning.Trainer, *rest: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def fitted(
    config: Config, folder: Path, *callbacks: lightning.Callback, **options: Any
) -> tuple[nmt.TranslationModule, lightning.Trainer]:
    """Train a module with a Trainer as a user would write it."""
    lightning.seed_everything(1, verbose=False)
    resumed = {name: options.pop(name) for name in ("ckpt_path",) if name in options}
    trainer = lightning.Trainer(
        **QUIET | {"logger": False} | options,
        callbacks=list(callbacks),
        default_root_dir=folder,
    )
    module = nmt.TranslationModule(config)
    trainer.fit(module, datamodule=nmt.TranslationData(config), **resumed)
    return module, trainer


def every(updates: int) -> dict[str, Any]:
    """Return the Trainer's arguments that validate every so many updates."""
    return {"val_check_interval": updates, "check_val_every_n_epoch": None}


def test_data_of_a_config_made_in_python_is_checked(tiny_config: Path) -> None:
    with pytest.raises(ConfigError, match=r"training.accumulate: 0"):
        nmt.TranslationData(changed(tiny_config, accumulate=0))


def test_stock_callbacks_and_loggers_find_the_metrics(tiny_config: Path, tmp_path: Path) -> None:
    stopping = EarlyStopping("validation/bleu", mode="max", patience=1, min_delta=1000.0)
    best = ModelCheckpoint(tmp_path / "best", monitor="validation/loss", save_top_k=1)
    options = {"max_steps": 30, "log_every_n_steps": 5} | every(5)
    logger = CSVLogger(tmp_path, name="", version="log")
    config = load_config(tiny_config)
    module, trainer = fitted(
        config, tmp_path, stopping, best, LearningRateMonitor(), logger=logger, **options
    )
    assert trainer.global_step == 10 and stopping.stopped_epoch == 0
    assert len(list((tmp_path / "best").iterdir())) == 1
    with open(tmp_path / "log" / "metrics.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    expected = {"train/loss", "train/gradient_norm", "train/tokens_per_second", "lr-AdamW"}
    expected |= {f"validation/{name}" for name in ("loss", "perplexity", "bleu", "chrf")}
    assert expected <= set(rows[0])
    losses = [float(row["train/loss"]) for row in rows if row["train/loss"]]
    assert len(losses) == 2 and losses[1] < losses[0]
    module.save_bundle(tmp_path / "model")
    source = ["Der Hund schläft."]
    translations = [translator.translate(source)[0] for translator in (module.translator(),)]
    translations += nmt.load(str(tmp_path / "model")).translate(source)
    assert translations[0].text == translations[1].text
    assert translations[0].score == pytest.approx(translations[1].score, abs=1e-4)


def test_validation_scores_are_sacrebleus_of_the_translations(
    tiny_config: Path, tmp_path: Path
) -> None:
    config = load_config(tiny_config)
    module, trainer = fitted(config, tmp_path, max_steps=20, **every(20))
    pairs = opened(config).held_out["validation"]
    sources, references = [source for source, _ in pairs], [target for _, target in pairs]
    translator = module.translator()
    hypotheses = translator.translate_all(sources, greedy=True)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    bleu = sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert logged["validation/bleu"] == pytest.approx(bleu, rel=1e-5, abs=1e-5)
    chrf = sacrebleu.corpus_chrf(hypotheses, [references]).score
    assert logged["validation/chrf"] == pytest.approx(chrf, rel=1e-5)
    tokens = sum(len(ids) + 1 for ids in translator.tokenizer.target.encode(references))
    loss = -sum(translator.score(sources, references)) / tokens
    assert logged["validation/loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    ("limits", "total"),
    [
        ({"max_steps": 12}, 12),
        ({"max_epochs": 1}, None),
        ({"max_epochs": 2, "limit_train_batches": 7}, 14),
        ({"max_epochs": 2, "max_steps": 9}, 9),
    ],
    ids=str,
)
def test_the_trainers_limits_rule_the_learning_rate(
    tiny_config: Path, tmp_path: Path, limits: dict[str, int], total: int | None
) -> None:
    config = changed(tiny_config, max_updates=None, max_epochs=20)
    total = total or len(opened(config).updates().plan(0))
    rates = Rates()
    fitted(config, tmp_path, rates, limit_val_batches=0, enable_checkpointing=False, **limits)
    factor = {"schedule": "cosine", "warmup_updates": 5, "total_updates": total}
    expected = [0.01 * learning_rate_factor(update, **factor) for update in range(total)]
    assert rates.rates == pytest.approx(expected)


def test_a_sanity_check_translates_nothing(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("translated")

    monkeypatch.setattr(Translator, "translate", refuse)
    monkeypatch.setattr(Translator, "score", refuse)
    trainer = lightning.Trainer(
        **QUIET, max_steps=1, num_sanity_val_steps=2, logger=False, enable_checkpointing=False
    )
    config = load_config(tiny_config)
    trainer.fit(nmt.TranslationModule(config), datamodule=nmt.TranslationData(config))
    assert trainer.global_step == 1


@pytest.mark.parametrize("killed_after", [7, 12])
def test_a_strangers_training_resumes_bit_for_bit_from_a_stock_checkpoint(
    tiny_config: Path, tmp_path: Path, killed_after: int
) -> None:
    """Checkpoint and validation fall on different updates, as stock checkpoints need."""
    options: dict[str, Any] = {"max_steps": 20} | every(4)
    stock = {"every_n_train_steps": 5, "save_top_k": -1, "filename": "{step}"}
    config = load_config(tiny_config)
    whole, _ = fitted(config, tmp_path, **options)
    with pytest.raises(Killed):
        fitted(
            config,
            tmp_path,
            ModelCheckpoint(tmp_path, **stock),
            KillAt(killed_after, "on_train_batch_start"),
            **options,
        )
    path = tmp_path / f"step={killed_after // 5 * 5}.ckpt"
    resumed, _ = fitted(config, tmp_path, ckpt_path=path, **options)
    for (name, weight), other in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(weight, other), name


def test_a_checkpoint_has_the_exact_sum_of_the_losses(tiny_config: Path) -> None:
    """Else the next line of the log differs from that of a run without a stop in its last bits."""
    module = nmt.TranslationModule(load_config(tiny_config))
    module.trainer = lightning.Trainer(**QUIET, logger=False)
    module._updates_summed = 21
    sums = [loss / 7 for loss in range(100, 200)]
    assert any(total / 21 * 21 != total for total in sums)
    for module._loss_sum in sums:
        checkpoint: dict[str, Any] = {}
        module.on_save_checkpoint(checkpoint)
        assert checkpoint["module"]["loss_sum"] == module._loss_sum


def test_training_goes_through_the_epochs_of_the_trainer(tiny_config: Path, tmp_path: Path) -> None:
    config = with_model(changed(tiny_config, max_updates=None, max_epochs=20), dropout=0.0)
    length = len(opened(config).updates().plan(0))
    _, trainer = fitted(config, tmp_path, max_epochs=2, limit_val_batches=0)
    assert trainer.global_step == 2 * length and trainer.current_epoch == 2


@pytest.mark.parametrize(
    "option",
    [{"precision": "64-true"}, {"overfit_batches": 2}, {"reload_dataloaders_every_n_epochs": 1}],
)
def test_what_would_train_otherwise_than_it_says_is_refused(
    tiny_config: Path, tmp_path: Path, option: dict[str, Any]
) -> None:
    name, value = next(iter(option.items()))
    with pytest.raises(UsageError, match=f"{name}=.*{value}"):
        fitted(load_config(tiny_config), tmp_path, max_steps=1, **option)


@pytest.mark.parametrize(
    "callback", [EMAWeightAveraging(decay=0.9), StochasticWeightAveraging(swa_lrs=1e-3)]
)
def test_averages_of_weights_that_are_not_there_yet_are_refused(
    tiny_config: Path, tmp_path: Path, callback: lightning.Callback
) -> None:
    """Lightning copies the weights before the module's `setup` has made them."""
    config = load_config(tiny_config)
    with pytest.raises(UsageError, match=f"{type(callback).__name__} is not supported; .*average"):
        fitted(config, tmp_path, callback, max_steps=1)
    with pytest.raises(UsageError, match=f"{type(callback).__name__} is not supported"):
        nmt.train(config, tmp_path / "run", callbacks=[callback])
    assert not (tmp_path / "run").exists()


def test_a_run_that_a_callback_stopped_goes_on(tiny_config: Path, tmp_path: Path) -> None:
    """As with Lightning's `Timer`, where a job's time ends; early stopping is an end."""

    class StopsAt(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *rest: Any) -> None:
            trainer.should_stop = trainer.global_step == 7

    config, run = changed(tiny_config, validate_every=5), tmp_path / "run"
    nmt.train(config, run, callbacks=[StopsAt()])
    stopped = newest_checkpoint(run / "checkpoints")
    assert stopped is not None and stopped.update == 7 and not stopped.finished
    assert "a callback stopped the training" in (run / "train.log").read_text()
    nmt.train(config, run, resume=True)
    nmt.train(config, tmp_path / "whole")
    assert_equal_weights(run, tmp_path / "whole")
    stopping = EarlyStopping("validation/bleu", mode="max", patience=1, min_delta=1000.0)
    for _ in range(2):
        nmt.train(config, tmp_path / "early", resume=True, callbacks=[stopping])
        end = newest_checkpoint(tmp_path / "early" / "checkpoints")
        assert end is not None and end.update == 10 and end.finished


def test_the_translator_of_a_module_scores_as_its_bundle_does_after_bf16(
    tiny_config: Path, tmp_path: Path
) -> None:
    module, _ = fitted(load_config(tiny_config), tmp_path, max_steps=4, precision="bf16-mixed")
    module.save_bundle(tmp_path / "model")
    pair = ["Der alte Hund schläft."], ["The old dog is sleeping."]
    expected = nmt.load(tmp_path / "model").score(*pair)
    assert module.translator().score(*pair) == pytest.approx(expected, rel=1e-6)  # bf16: 1e-3


def test_a_validation_leaves_no_position_to_the_next_training(
    tiny_config: Path, tmp_path: Path
) -> None:
    class First(lightning.Callback):
        update: Update

        def on_train_batch_end(self, *arguments: Any) -> None:
            self.update = arguments[3]

    config, first = load_config(tiny_config), First()
    module, trainer = fitted(config, tmp_path, max_steps=4, limit_val_batches=0)
    trainer.save_checkpoint(tmp_path / "4.ckpt")
    data = nmt.TranslationData(config)
    module = nmt.TranslationModule(config)
    options: dict[str, Any] = QUIET | {"logger": False, "enable_checkpointing": False}
    lightning.Trainer(**options).validate(
        module, datamodule=data, ckpt_path=tmp_path / "4.ckpt", verbose=False
    )
    trainer = lightning.Trainer(**options, max_steps=1, limit_val_batches=0, callbacks=[first])
    trainer.fit(module, datamodule=data)
    fresh = next(iter(opened(config).train_dataloader()))
    assert torch.equal(first.update.batches[0].source.tokens, fresh.batches[0].source.tokens)


@pytest.mark.slow
def test_processes_that_keep_their_weights_are_refused(tiny_config: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"UsageError: Trainer.strategy=….*ddp_spawn"):
        fitted(load_config(tiny_config), tmp_path, max_steps=1, strategy="ddp_spawn", devices=2)


class Remembers(lightning.Callback):
    """A callback whose state is of a type of its own."""

    def state_dict(self) -> dict[str, Any]:
        return {"where": Path("here")}


def test_a_callback_that_could_not_be_resumed_is_named_at_the_first_checkpoint(
    tiny_config: Path, tmp_path: Path
) -> None:
    config = nmt.load_config(tiny_config, {"training.checkpoint_every": 5})
    with pytest.raises(UsageError, match=r"Remembers.*pathlib\.PosixPath"):
        nmt.train(config, tmp_path / "run", callbacks=[Remembers()])
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_checkpoints_do_not_pass_through_the_folder_for_temporary_files(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    config = nmt.load_config(tiny_config, {"training.max_updates": 6, "data.splits.test": None})
    nmt.train(config, tmp_path / "run")
    assert list((tmp_path / "run" / "checkpoints").glob("*.ckpt"))


def test_callbacks_that_the_trainer_refuses_leave_no_run(tiny_config: Path, tmp_path: Path) -> None:
    twice = [EarlyStopping("validation/bleu"), EarlyStopping("validation/bleu")]
    with pytest.raises(RuntimeError, match="EarlyStopping"):
        nmt.train(load_config(tiny_config), tmp_path / "run", callbacks=twice)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_alone_is_no_model() -> None:
    with pytest.raises(UsageError, match=r"nmt\.load"):
        nmt.TranslationModule.load_from_checkpoint("some.ckpt")


def test_a_run_has_its_log_where_the_user_has_one_too(tiny_config: Path, tmp_path: Path) -> None:
    logger = logging.getLogger("nmt")
    level, handlers = logger.level, logger.handlers
    logger.setLevel(logging.NOTSET)
    logger.handlers = [logging.NullHandler()]
    try:
        config = nmt.load_config(tiny_config, {"training.max_updates": 6, "training.log_every": 6})
        nmt.train(config, tmp_path / "run")
    finally:
        logger.setLevel(level)
        logger.handlers = handlers
    assert "update 6/6" in (tmp_path / "run" / "train.log").read_text(encoding="utf-8")


def test_another_data_module_is_refused(tiny_config: Path) -> None:
    trainer = lightning.Trainer(**QUIET, max_steps=1, logger=False)
    module = nmt.TranslationModule(load_config(tiny_config))
    with pytest.raises(UsageError, match="TranslationData"):
        trainer.fit(module, [torch.zeros(1)])
    with pytest.raises(UsageError, match="fit"):
        module.save_bundle("nowhere")


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_the_ranks_shares_of_validation_are_all_of_it(world_size: int) -> None:
    pairs = [(f"s{row}", f"t{row}") for row in range(5)]
    shares = [ValidationLoader(pairs, rank, world_size) for rank in range(world_size)]
    assert {len(share) for share in shares} == {1}
    rows = [row for share in shares for batch in share for row in batch]
    assert sorted(rows) == list(enumerate(pairs))


def test_python_trains_as_the_command_does(
    tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    notes = Rates()
    config = nmt.load_config(tiny_config, {"model.dropout": 0.2, "training.patience": None})
    translator = nmt.train(
        config,
        tmp_path / "run",
        callbacks=[notes],
        loggers=[CSVLogger(tmp_path, name="", version="log")],
    )
    assert len(notes.rates) == 30 and (tmp_path / "log" / "metrics.csv").exists()
    weights = [run / "model" / "weights.safetensors" for run in (tmp_path / "run", tiny_run)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    source = ["Der Hund schläft."]
    assert translator.translate(source) == nmt.load(str(tiny_run)).translate(source)


def test_overrides_have_the_types_of_their_keys(tiny_config: Path) -> None:
    overrides = {"model.cell": "gru", "training.patience": 3, "model.dropout": 0.5}
    config = nmt.load_config(tiny_config, overrides | {"data.splits": {"validation": "elsewhere"}})
    assert (config.model.cell, config.training.patience, config.model.dropout) == ("gru", 3, 0.5)
    assert config.data.splits == {"validation": "elsewhere"}
    config = nmt.load_config(tiny_config, {"data.splits": {"validation": ["😀"]}})
    assert config.data.splits == {"validation": ["😀"]}
    with pytest.raises(ConfigError, match=r"model\.cel"):
        nmt.load_config(tiny_config, {"model.cel": "gru"})


SCRIPT = """
import nmt
config = nmt.load_config(CONFIG, {"training.max_updates": 6, "training.workers": 1,
    "training.devices": DEVICES, "training.validate_every": 6, "training.warmup_updates": 0})
import nmt.data.encoding
nmt.data.encoding._FEW = 1
print(nmt.train(config, RUN).translate(["Der Hund."])[0].problem)
"""


@pytest.mark.parametrize(
    "stdin",
    [pytest.param(False, id="script"), pytest.param(True, id="notebook", marks=pytest.mark.slow)],
)
def test_a_script_needs_no_main_guard(tiny_config: Path, tmp_path: Path, stdin: bool) -> None:
    """Two processes, a loader's worker and encoding workers; a notebook's main has no file."""
    values = {"CONFIG": str(tiny_config), "RUN": str(tmp_path / "run"), "DEVICES": 2}
    code = "".join(f"{name} = {value!r}\n" for name, value in values.items()) + SCRIPT
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-" if stdin else tmp_path / "script.py"],
        input=code if stdin else "",
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the best model is") == 1
    told = [line for line in done.stderr.splitlines() if "find_unused_parameters" not in line]
    for word in ("lightning", "Warning", "warn"):
        assert word not in "\n".join(told)


def test_the_example_trains_and_translates(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "examples" / "train_from_python.py", "3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert (tmp_path / "runs" / "from-python" / "model" / "bundle.json").exists()


def test_a_folder_that_holds_something_else_is_never_replaced(
    tiny_config: Path, tmp_path: Path
) -> None:
    config = load_config(tiny_config)
    module = nmt.TranslationModule(config)
    module.build(opened(config))
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds more than a bundle"):
        module.save_bundle(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    for _ in range(2):  # a bundle may be replaced
        module.save_bundle(tmp_path / "model", {"mine": [1, 2]})
    with pytest.raises(DataError, match=r"metrics.*3\.0 is not"):  # it could not be loaded
        module.save_bundle(tmp_path / "model", {"update": 3.0})
    metrics = load_bundle(tmp_path / "model").metrics
    assert metrics["mine"] == [1, 2] and metrics["data"]["kept"] == 400 and metrics["seed"] == 1


def test_data_that_is_not_set_up_and_data_of_another_module_are_refused(tiny_config: Path) -> None:
    config = load_config(tiny_config)
    for loader in ("train_dataloader", "val_dataloader"):
        with pytest.raises(UsageError, match="setup"):
            getattr(nmt.TranslationData(config), loader)()
    module = nmt.TranslationModule(config)
    module.build(opened(config))
    with pytest.raises(UsageError, match="another TranslationData"):
        module.build(opened(config))


def test_data_that_was_pickled_can_be_set_up(tiny_config: Path) -> None:
    data = pickle.loads(pickle.dumps(nmt.TranslationData(load_config(tiny_config))))
    data.setup()
    assert len(data.val_dataloader()) == 1 and len(data.train_dataloader()) > 1
