"""The study: trains one small decoder behind several encoders, measures, and argues."""

import contextlib
import logging
import random
from collections.abc import Sequence
from pathlib import Path

import torch

from nmt.bundle import Bundle, load_bundle
from nmt.data.phrases import read_split
from nmt.diagnosis.argument import argument
from nmt.diagnosis.diagnose import flow_of
from nmt.diagnosis.records import GradientFlow, write_record
from nmt.diagnosis.study import LengthScore, Study, StudyRow
from nmt.diagnosis.study_training import train_all
from nmt.errors import UsageError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import Score, bleu_metric, with_interval
from nmt.inference.translator import Translator
from nmt.log import ProgressBar
from nmt.reading import read_record
from nmt.storage import atomic_write, locked
from nmt.text.lines import writing_to

_log = logging.getLogger("nmt")

MODELS = {
    "bag": {"encoder": "bag", "cell": "lstm"},
    "window 2": {"encoder": "window", "window": "2", "cell": "lstm"},
    "window 7": {"encoder": "window", "window": "7", "cell": "lstm"},
    "tanh": {"cell": "tanh"},
    "relu": {"cell": "relu"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
"""Name to keys of the `model` section."""
UPDATES = 2500
_SETTINGS = """\
# What all models of `nmt study` have in common: the final state is the only link, read once.
data: {{source_language: de, target_language: en, corpus: builtin:phrases}}
tokenizer: {{model: bpe, vocabulary_size: 2000}}
model:
  layers: 1
  embedding_size: 128
  hidden_size: 256
  bidirectional: false
  bridge: copy
  feed_context: false
  dropout: 0.1
training:
  max_updates: {updates}
  warmup_updates: {warmup}
  batch_tokens: 1024
  device: cpu
decoding: {{beam_size: 1}}
"""
_GROUPS = {"test": ((3, 5), (6, 8), (9, 10), (11, 13)), "long": ((14, 16), (17, 19), (20, 28))}
"""First and last number of words between blanks of the sources that are scored together."""


def run_study(out: Path, *, updates: int = UPDATES, models: Sequence[str] = tuple(MODELS)) -> Study:
    """Train what is not trained yet, and measure what is not measured.

    Args:
        out: folder of the study, with a run for each model. It is made, or gone on with.
        updates: of each training.
        models: which of `MODELS`.

    Raises:
        UsageError: another model is asked for, or the folder holds something else.
        NmtError: a training failed.
    """
    for name in models:
        if name not in MODELS:
            raise UsageError(f"--models: there is no {name!r}; there are {', '.join(MODELS)}")
    if updates < 2:
        raise UsageError(f"--updates: {updates} makes no sense: give at least 2")
    names = [name for name in MODELS if name in models]
    threads = torch.get_num_threads()
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        config = _settings(out, updates)
        try:
            torch.set_num_threads(1)  # beside the trainings
            rows = _rows(out, config, names)
        finally:
            torch.set_num_threads(threads)
        study = Study(updates, rows, argument(rows))
        write_record(out / "study.json", study)
    return study


def _settings(out: Path, updates: int) -> Path:
    """Write what the models have in common, or find it there."""
    path = out / "study.yaml"
    text = _SETTINGS.format(updates=updates, warmup=min(200, updates // 2))
    if not path.exists():
        if any(out.iterdir()):
            raise UsageError(f"--out {out}: it holds something else than a study; choose another")
        with atomic_write(path) as stream:
            stream.write(text.encode())
    elif path.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"--updates {updates}: the study in {out} was begun with other settings, see its "
            "study.yaml; give the same, or choose another --out"
        )
    return path


def _rows(out: Path, config: Path, names: Sequence[str]) -> list[StudyRow]:
    """Train and measure; a row is kept in its run's folder."""
    runs = {name: out / name.replace(" ", "-") for name in names}
    waiting = {run: name for name, run in runs.items() if not _kept(run).exists()}
    # The last of the models take longest: they begin.
    keys = {run: _words(MODELS[name]) for run, name in reversed(waiting.items())}
    bar = ProgressBar("model", len(names), len(names) - len(waiting))
    _log.info("%d of %d models to train in %s", len(waiting), len(names), out)
    try:
        with contextlib.closing(train_all(config, keys)) as trained:
            for run, minutes in trained:
                row = _measure(run, waiting[run], minutes)
                write_record(_kept(run), row)
                bar.advance()
                told = row.name, row.test.score, bar.time_left()
                _log.info("%s: BLEU %.1f on test; %s left", *told)
    finally:
        bar.stop()
    return [read_record(_kept(run), StudyRow) for run in runs.values()]


def _kept(run: Path) -> Path:
    return run / "study.json"


def _words(keys: dict[str, str]) -> list[str]:
    return [word for key, value in keys.items() for word in (f"--model.{key}", value)]


def _measure(run: Path, name: str, minutes: float | None) -> StudyRow:
    """Look at a trained model from all sides."""
    translator, bundle = Translator.load(run, device="cpu"), load_bundle(run)
    model = bundle.config.model
    whole, lengths = {}, []
    for split, groups in _GROUPS.items():
        pairs = read_split(split)
        hypotheses = translator.translate_all([source for source, _ in pairs])
        whole[split] = _bleu(pairs, hypotheses)
        for first, last in groups:
            both = zip(pairs, hypotheses, strict=True)
            own = [one for one in both if first <= len(one[0][0].split()) <= last]
            bleu = _bleu([pair for pair, _ in own], [hypothesis for _, hypothesis in own])
            lengths.append(LengthScore(split, first, last, len(own), bleu))
    pairs = read_split("test")
    return StudyRow(
        name=name,
        encoder=model.encoder,
        cell=model.cell,
        state_size=model.layers * model.hidden_size * (2 if model.cell == "lstm" else 1),
        parameters=sum(parameter.numel() for parameter in bundle.model.parameters()),
        minutes=minutes,
        test=whole["test"],
        long=whole["long"],
        shuffled=_bleu(pairs, translator.translate_all(_shuffled(pairs))),
        lengths=lengths,
        flow=_flow(bundle),
    )


def _flow(bundle: Bundle) -> GradientFlow:
    """Look at gradients over sentences as long as the longest of training."""
    first, last = _GROUPS["test"][-1]
    pairs = [pair for pair in read_split("test") if first <= len(pair[0].split()) <= last]
    return flow_of(bundle, pairs, "trained")


def _shuffled(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Put the words of each source into a random order, the same in every study."""
    chance = random.Random(1)
    sources = [source.split() for source, _ in pairs]
    return [" ".join(chance.sample(words, len(words))) for words in sources]


def _bleu(pairs: Sequence[tuple[str, str]], hypotheses: Sequence[str]) -> Score:
    return with_interval(
        bleu_metric(TargetLanguage("en")), hypotheses, [reference for _, reference in pairs]
    )
