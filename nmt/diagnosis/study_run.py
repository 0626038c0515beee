"""Runs the study: trains one small decoder behind several encoders, and measures each."""

import contextlib
import random
from collections.abc import Sequence
from pathlib import Path

import torch

from nmt.bundle import load_bundle
from nmt.data.phrases import read_split
from nmt.diagnosis.argument import argument
from nmt.diagnosis.collect import flow_of
from nmt.diagnosis.records import write_record
from nmt.diagnosis.study_records import MODELS, Study, StudyRow
from nmt.diagnosis.study_training import train_all
from nmt.errors import UsageError
from nmt.evaluation.breakdowns import LengthGroup, breakdown
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import Score, bleu_metric, with_interval
from nmt.evaluation.translations import Translations
from nmt.inference.translator import Translator
from nmt.log import ProgressBar, log
from nmt.reading import read_record
from nmt.storage import atomic_write, locked
from nmt.text.lines import writing_to

Pairs = Sequence[tuple[str, str]]

SETTINGS = """\
# Shared by all models of `nmt study`: the decoder reads the source only through the final state.
data: {{source_language: de, target_language: en, corpus: builtin:phrases}}
tokenizer: {{model: bpe, vocabulary_size: 2000}}
model: {{layers: 1, embedding_size: 128, hidden_size: 256, dropout: 0.1,
  bidirectional: false, bridge: copy, feed_context: false}}
training: {{max_updates: {updates}, warmup_updates: {warmup}, batch_tokens: 1024, device: cpu}}
decoding: {{beam_size: 1}}
"""
_TEST, _LONG = (5, 8, 10, 13), (16, 19, 28)
"""Greatest number of source words of each group of sentences."""


def run_study(out: Path, updates: int, models: Sequence[str]) -> Study:
    """Train and measure the unfinished models.

    Args:
        out: folder of the study, with a run for each model; created, or continued.
        updates: of each training run, 2 or more.
        models: which of `MODELS`.

    Raises:
        UsageError: the folder holds something else, or a study with other settings.
        NmtError: a training run failed.
    """
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        text = SETTINGS.format(updates=updates, warmup=min(200, updates // 2))
        config = out / "study.yaml"
        if config.exists() and config.read_text() != text:
            raise UsageError(f"--updates {updates}: {config} differs; choose another --out")
        if not config.exists() and any(out.iterdir()):
            raise UsageError(f"--out {out}: the folder holds something else; choose another")
        with atomic_write(config) as stream:
            stream.write(text.encode())
        torch.set_num_threads(1)  # the training runs use the other cores
        rows = _rows(out, config, [name for name in MODELS if name in models])
        study = Study(updates, rows, argument(rows))
        write_record(out / "study.json", study)
    return study


def _rows(out: Path, config: Path, names: Sequence[str]) -> list[StudyRow]:
    """Train and measure; each finished row is stored as study.json in its run folder."""
    runs = {out / name.replace(" ", "-"): name for name in names}
    waiting = [run for run in runs if not (run / "study.json").exists()]
    log.info("%d of %d models to train in %s", len(waiting), len(names), out)
    # The last models take longest: they start first.
    keys = {run: MODELS[runs[run]].split() for run in reversed(waiting)}
    with (
        ProgressBar("model", len(names), len(names) - len(waiting)) as bar,
        contextlib.closing(train_all(config, keys)) as trained,
    ):
        for run in trained:
            row = _measure(run, runs[run])
            write_record(run / "study.json", row)
            bar.advance()
            bar.log(f"{row.name}: BLEU {row.test.score:.1f} on test")
    return [read_record(run / "study.json", StudyRow) for run in runs]


def _measure(run: Path, name: str) -> StudyRow:
    translator, bundle = Translator.load(run, device="cpu"), load_bundle(run)
    pairs = read_split("test")
    test, test_lengths = _scores(translator, pairs, _TEST)
    long, long_lengths = _scores(translator, read_split("long"), _LONG)
    mixed, _ = _scores(translator, pairs, _TEST, shuffled_words(pairs))
    longest = [pair for pair in pairs if len(pair[0].split()) > _TEST[-2]]
    flow = flow_of(bundle, longest, "trained")
    size = bundle.config.model.hidden_size * (2 if bundle.config.model.cell == "lstm" else 1)
    weights = sum(parameter.numel() for parameter in bundle.model.parameters())
    return StudyRow(name, size, weights, test, long, mixed, test_lengths, long_lengths, flow)


def _scores(
    translator: Translator, pairs: Pairs, groups: Sequence[int], sources: Sequence[str] = ()
) -> tuple[Score, list[LengthGroup]]:
    """Score translations of the pairs' sources, or of the given ones, overall and by length."""
    own, references = zip(*pairs, strict=True)
    texts, english = translator.translate_all(sources or own), TargetLanguage("en")
    by_length = breakdown(Translations(own, references, texts), english, groups=groups).groups
    return with_interval(bleu_metric(english), texts, [references]), by_length


def shuffled_words(pairs: Pairs) -> list[str]:
    """Return the sources with their words in a random order, the same in every study."""
    chance = random.Random(1)
    sources = [source.split() for source, _ in pairs]
    return [" ".join(chance.sample(words, len(words))) for words in sources]
