"""Learning from a teacher: it translates the training source once, and the cache keeps that.

Source: Kim and Rush 2016, Sequence-Level Knowledge Distillation, section 3.2.
"""

import logging
from collections.abc import Iterable
from typing import Any

import torch

from nmt.config import Config
from nmt.data.cache import find_translations
from nmt.data.chunks import chunked
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus
from nmt.data.distilled import DistilledCorpus, TeacherTranslations
from nmt.data.scan import CorpusScan
from nmt.errors import NmtError
from nmt.inference.search import Translation
from nmt.log import PROGRESS, ProgressBar
from nmt.storage import locked
from nmt.text.lines import writing_to
from nmt.training.distributed import all_threads
from nmt.training.teacher import load_teacher

_log = logging.getLogger("nmt")


def distilled(
    config: Config, corpus: Corpus, scan: CorpusScan, teachers: list[str]
) -> DistilledCorpus:
    """Return a corpus with a teacher's translations of its training split, made where they miss.

    While another process makes the same ones, this one waits for them.

    Args:
        config: the run's.
        corpus: the references.
        scan: of this corpus.
        teachers: as of `teachers_of`.

    Raises:
        BundleError: there is no such model, or it is damaged.
        DataError: it is another than it was, or the cache cannot be written.
        NmtError: a sentence could not be translated.
    """
    translations = find_translations(config.data, scan, teachers)
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


def _translate(
    config: Config, pairs: Iterable[Pair], translations: TeacherTranslations, teachers: list[str]
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
