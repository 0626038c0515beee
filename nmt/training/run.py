"""A training run from config to scores, in a folder of its own."""

import dataclasses
import json
import logging
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import torch

from nmt.bundle import build_model, load_bundle, save_bundle
from nmt.config import Config, ModelConfig, changed_keys, dump_config, load_config
from nmt.data.corpus import Corpus, open_corpus
from nmt.data.encoded import EncodedPairs, cache_folder, encode_pairs, text_fingerprint
from nmt.data.loader import Updates
from nmt.errors import ConfigError, DataError, StoppedError, UsageError
from nmt.evaluation.metrics import bleu_metric, corpus_scores
from nmt.inference.device import describe_device, find_device, find_precision
from nmt.inference.translator import Translator
from nmt.log import log_to_file
from nmt.models.seq2seq import Seq2Seq
from nmt.storage import atomic_write
from nmt.text.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from nmt.training.checkpoints import Checkpoints, checkpoint_files
from nmt.training.module import TranslationModule
from nmt.training.records import Recorder
from nmt.training.validation import Validation

_log = logging.getLogger("nmt")
_DEFAULT_EPOCHS = 20


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a run trains with, all of it checked before the run folder is touched.

    Attributes:
        config: the run's config, its model section complete.
        corpus: where raw pairs come from.
        tokenizer: new, ready made, or that of the run or bundle to go on from.
        pairs: the encoded training split.
        validation: the raw validation split.
        model: the network, with its first weights.
    """

    config: Config
    corpus: Corpus
    tokenizer: Tokenizer
    pairs: EncodedPairs
    validation: list[tuple[str, str]]
    model: Seq2Seq


def train(config: Config, run: Path, *, resume: bool = False) -> None:
    """Train a model, keep the best as a bundle, and score it on the test splits.

    Args:
        config: what to do.
        run: the run folder; it must not exist, or be one to resume.
        resume: go on where the run stands; start it where there is none.

    Raises:
        UsageError: the folder exists, or its run was made with another config.
        DataError: the corpus is not what the config says.
    """
    device = find_device(config.training.device, "training.device")
    precision = find_precision(config.training.precision, device)
    known = resume and (run / "config.yaml").exists()
    if not resume and run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise UsageError(f"{run} exists; go on with --resume, or choose another folder with --run")
    _log.info("device: %s, precision %s", describe_device(device), precision)
    _quieten_lightning()
    lightning.seed_everything(config.seed, verbose=False)
    prepared = _prepare(config, run if known else None)
    with _opened(run, prepared, known):
        _fit(prepared, run, device, precision)
        _score_tests(prepared, run, device)


def _prepare(config: Config, known_run: Path | None) -> Prepared:
    """Read, check and encode everything a run needs."""
    base = load_bundle(config.training.init_from) if config.training.init_from else None
    if base is not None:
        config = _adopt(config, base.config)
    if known_run is not None:
        _refuse_changes(known_run, config)
    corpus = open_corpus(config.data)
    if "validation" not in corpus.splits:
        raise ConfigError(
            "data.splits: there is no validation split to choose the best model on; "
            "name one, or cut one out of train with data.splits.validation: {cut: 2000}"
        )
    small = {name: list(corpus.pairs(name)) for name in corpus.splits if name != "train"}
    bleu_metric(config.data.target_language)  # a missing tokenizer is said now, not in an hour
    if known_run is not None:
        tokenizer = load_tokenizer(known_run / "tokenizer")
    elif base is not None:
        tokenizer = base.tokenizer
    else:
        tokenizer, notes = train_tokenizer(config.tokenizer, _Pairs(corpus))
        for note in notes:
            _log.warning(note)
    pairs = encode_pairs(
        lambda: corpus.pairs("train"),
        tokenizer,
        max_length=config.data.max_length,
        cache=cache_folder(config.data.cache),
    )
    _log.info("train: %s", pairs.facts)
    for name, split in small.items():
        _log.info("%s: %s pairs", name, f"{len(split):,}")
    model = build_model(config, tokenizer)
    if base is not None:
        model.load_state_dict(base.model.state_dict())
    _log.info("model: %s parameters", f"{sum(p.numel() for p in model.parameters()):,}")
    return Prepared(config, corpus, tokenizer, pairs, small["validation"], model)


class _Pairs:
    """The training split as something to iterate over again and again."""

    def __init__(self, corpus: Corpus):
        self._corpus = corpus

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._corpus.pairs("train")


def _adopt(config: Config, base: Config) -> Config:
    """Take over the network and the tokenizer of the bundle to start from.

    Model keys left at their defaults follow the bundle; others must agree with it, dropout aside.
    """
    settings = dataclasses.asdict(base.model)
    for field in dataclasses.fields(ModelConfig):
        value = getattr(config.model, field.name)
        if value == field.default or value == settings[field.name]:
            continue
        if field.name != "dropout":
            raise ConfigError(
                f"model.{field.name}: {value!r} does not fit the model of training.init_from, "
                f"which has {settings[field.name]!r}; leave the key out"
            )
        settings[field.name] = value
    return dataclasses.replace(config, model=ModelConfig(**settings), tokenizer=base.tokenizer)


def _refuse_changes(run: Path, config: Config) -> None:
    changed = changed_keys(load_config(run / "config.yaml"), config)
    if changed:
        raise ConfigError(
            f"--resume: the run {run} was made with another {', '.join(changed)}; "
            "give the same config, or choose another folder with --run"
        )


@contextmanager
def _opened(run: Path, prepared: Prepared, known: bool) -> Iterator[None]:
    """Make the run folder, or open it again, and log into it."""
    if not known:
        (run / "tokenizer").mkdir(parents=True, exist_ok=True)
        prepared.tokenizer.save(run / "tokenizer")
        _write_text(run / "environment.json", json.dumps(_environment(prepared), indent=2))
        _write_text(run / "config.yaml", dump_config(prepared.config))  # last: now it is a run
    handler = log_to_file(run / "train.log")
    try:
        yield
    finally:
        logging.getLogger("nmt").removeHandler(handler)
        handler.close()


def _fit(prepared: Prepared, run: Path, device: torch.device, precision: str) -> None:
    """Train to the end, from the newest checkpoint where there is one."""
    config = prepared.config.training
    found = checkpoint_files(run / "checkpoints")
    checkpoint = found[-1] if found else None
    if checkpoint is not None:
        if torch.load(checkpoint, map_location="cpu", weights_only=True)["finished"]:
            _log.info("%s: training is finished", run)
            return
        _log.info("going on from %s", checkpoint)
    updates = Updates(
        prepared.pairs,
        prepared.tokenizer,
        batch_tokens=config.batch_tokens,
        accumulate=config.accumulate,
        seed=prepared.config.seed,
    )
    max_epochs = config.max_epochs
    if max_epochs is None and config.max_updates is None:
        max_epochs = _DEFAULT_EPOCHS
    ends = [config.max_updates] if config.max_updates else []
    if max_epochs is not None:  # every epoch has about as many updates as the first
        ends.append(max_epochs * len(updates.plan(0)))
    module = TranslationModule(
        prepared.model, config, updates, max_epochs=max_epochs, total_updates=min(ends)
    )
    translator = Translator(
        prepared.model, prepared.tokenizer, prepared.config, device=device, precision=precision
    )

    def export(trained: TranslationModule, update: int, scores: dict[str, float]) -> None:
        save_bundle(
            run / "model",
            model=trained.model,
            tokenizer=prepared.tokenizer,
            config=prepared.config,
            metrics=_environment(prepared) | {"update": update, "validation": scores},
        )

    recorder = Recorder(run, config.log_every, min(ends))
    trainer = lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        max_steps=config.max_updates or -1,
        max_epochs=1,
        callbacks=[
            recorder,
            Validation(prepared.config, translator, prepared.validation, recorder, export),
            Checkpoints(run / "checkpoints", config.checkpoint_every or config.validate_every),
        ],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=run,
    )
    try:
        trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise StoppedError("interrupted; go on with --resume") from None


def _score_tests(prepared: Prepared, run: Path, device: torch.device) -> None:
    """Score the best model on every test split that has no scores yet."""
    names = [name for name in prepared.corpus.splits if name not in ("train", "validation")]
    missing = [name for name in names if not (run / f"scores.{name}.json").exists()]
    translator = Translator.load(run, device=device.type) if missing else None
    for name in missing:
        assert translator is not None
        pairs = list(prepared.corpus.pairs(name))
        translations = translator.translate([source for source, _ in pairs])
        scores = corpus_scores(
            [translation.text for translation in translations],
            [target for _, target in pairs],
            prepared.config.data.target_language,
        )
        _write_text(run / f"scores.{name}.json", json.dumps(scores.to_json(), indent=2))
        _log.info("%s:\n%s", name, scores)
    _log.info("the best model is %s", run / "model")


def _environment(prepared: Prepared) -> dict[str, Any]:
    """Say what would have to be the same to get the same model again."""
    packages = ("torch", "lightning", "datasets", "sentencepiece", "sacrebleu", "numpy")
    validation = text_fingerprint(prepared.validation)
    return {
        "seed": prepared.config.seed,
        "data": dataclasses.asdict(prepared.pairs.facts) | {"validation": validation},
        "versions": {"python": platform.python_version(), "nmt": version("nmt")}
        | {name: version(name) for name in packages},
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def _write_text(path: Path, text: str) -> None:
    try:
        with atomic_write(path) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from None


def _quieten_lightning() -> None:
    """Leave the talking to our own log."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module="lightning")
