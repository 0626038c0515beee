"""Learning from a teacher: it translates the training source once, and the cache keeps that.

Source: Kim and Rush 2016, Sequence-Level Knowledge Distillation, section 3.2.
"""

import dataclasses
import logging
from collections.abc import Iterable
from typing import Any

import torch

from nmt.config import Config, DataConfig, DistillConfig
from nmt.data.cache import find_translations
from nmt.data.chunks import chunked
from nmt.data.columns import Pair
from nmt.data.corpus import MOST_OFTEN, Corpus, corpus_places, open_corpus, place_parts
from nmt.data.distilled import DistilledCorpus, Translations
from nmt.data.survey import Survey, survey
from nmt.errors import NmtError
from nmt.inference.search import Translation
from nmt.log import PROGRESS, ProgressBar
from nmt.storage import locked
from nmt.text.lines import writing_to
from nmt.training.distributed import all_threads
from nmt.training.teacher import load_teacher, teachers_of

_log = logging.getLogger("nmt")


@dataclasses.dataclass(frozen=True)
class DistillFacts:
    """How far a teacher is.

    Attributes:
        teachers: SHA-256 of the `bundle.json` of every model.
        sentences: of the training source.
        translated: those whose translations are in the cache.
    """

    teachers: list[str]
    sentences: int
    translated: int


def distilled(
    config: Config, corpus: Corpus, surveyed: Survey, teachers: list[str]
) -> DistilledCorpus:
    """Return a corpus with a teacher's translations of its training split, made where they miss.

    While another process makes the same ones, this one waits for them.

    Args:
        config: the run's.
        corpus: the references.
        surveyed: of this corpus.
        teachers: as of `teachers_of`.

    Raises:
        BundleError: there is no such model, or it is damaged.
        DataError: it is another than it was, or the cache cannot be written.
        NmtError: a sentence could not be translated.
    """
    translations = find_translations(config.data, surveyed, teachers)
    if translations.missing():
        with writing_to(translations.folder):
            translations.folder.mkdir(parents=True, exist_ok=True)
        with locked(translations.folder, patience=None), all_threads():
            if translations.missing():  # nobody else has made them meanwhile
                _translate(config, corpus.pairs("train"), translations, teachers)
        torch.cuda.empty_cache()  # the teacher's share
    _log.info("the teacher's translations are in %s", translations.folder)
    references = config.data.distill.references
    return DistilledCorpus(corpus.name, corpus.places, corpus.read, translations, references)


def distill_facts(config: DataConfig) -> DistillFacts:
    """Look whether the teacher can translate, and how far it is; nothing is written.

    Args:
        config: the `data` section, with a teacher.

    Raises:
        BundleError, ConfigError: as of `teachers_of`.
        DataError: what is wrong with the data.
    """
    teachers = teachers_of(config)
    surveyed = survey(open_corpus(config))
    translations = find_translations(config, surveyed, teachers)
    missing = translations.sentences(translations.missing())
    return DistillFacts(teachers, surveyed.pairs, surveyed.pairs - missing)


def references_alone(config: DataConfig) -> DataConfig:
    """Let the references stand in for the translations: an epoch has about as many pairs.

    Args:
        config: the `data` section, with a teacher.
    """
    times = config.distill.references + config.distill.n_best
    train: list[str | dict[str, str | float]] = [
        {"place": part.place, "weight": min(part.weight * times, MOST_OFTEN)}
        for part in place_parts(corpus_places(config).get("train", []))
    ]
    splits = {**(config.splits or {}), "train": train}
    return dataclasses.replace(config, distill=DistillConfig(), splits=splits)


def _translate(
    config: Config, pairs: Iterable[Pair], translations: Translations, teachers: list[str]
) -> None:
    """Translate the chunks that are not there yet."""
    distill = config.data.distill
    settings: dict[str, Any] = {"n_best": distill.n_best}
    if distill.beam_size is not None:
        settings["beam_size"] = distill.beam_size
    translator = load_teacher(distill, config.training.device, teachers)
    missing = translations.missing()
    left = translations.sentences(missing)
    done = translations.total - left
    _log.info("the teacher translates %s sentences; %s are done", f"{left:,}", f"{done:,}")
    cut = 0
    bar = ProgressBar("sentence", translations.total, done)
    try:
        for number, chunk in enumerate(chunked(pairs)):
            if number in missing:
                found = translator.translate([source for source, _ in chunk], **settings)
                translations.write(number, _texts(found))
                cut += sum(one.problem is not None for one in found)
                done += len(chunk)
                bar.advance(len(chunk))
                _log.log(PROGRESS, "%s translated, %s", f"{done:,}", bar.pace())
    finally:
        bar.stop()
    if cut:
        _log.info("%d of %d sentences or translations were cut", cut, left)


def _texts(found: list[Translation]) -> list[list[str]]:
    for one in found:
        if one.failed:  # nothing to learn from, and nothing to keep
            raise NmtError(f"data.distill: {one.problem}; give a smaller data.distill.beam_size")
    return [[candidate.text for candidate in one.n_best] for one in found]
