"""Learning from a teacher, which translates the training source once, into the cache.

Source: Kim and Rush 2016, Sequence-Level Knowledge Distillation, section 3.2.
"""

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
from nmt.inference.threads import torch_threads
from nmt.log import ProgressBar, log
from nmt.storage import locked
from nmt.text.lines import writing_to
from nmt.training.distributed import local_world_size
from nmt.training.teacher import load_teacher


def distilled(
    config: Config, corpus: Corpus, scan: CorpusScan, teachers: list[str]
) -> DistilledCorpus:
    """Return a corpus with a teacher's translations of its training split; make missing ones.

    If another process makes the same translations, this one waits for them.

    Args:
        config: of the run.
        corpus: the references.
        scan: of this corpus.
        teachers: hashes from `teachers_of`.

    Raises:
        BundleError: a model is missing or damaged.
        DataError: a model has changed since the run began, or the cache cannot be written.
        NmtError: a sentence could not be translated.
    """
    translations = find_translations(config.data, scan, teachers)
    if translations.missing():
        with writing_to(translations.folder):
            translations.folder.mkdir(parents=True, exist_ok=True)
        every = torch.get_num_threads() * local_world_size()  # the other processes wait
        with locked(translations.folder, patience=None), torch_threads(every):
            if translations.missing():  # no other process has made them meanwhile
                _translate(config, corpus.pairs("train"), translations, teachers)
        torch.cuda.empty_cache()  # frees the teacher's memory
    log.info("the teacher's translations are in %s", translations.folder)
    references = config.data.distill.references
    return DistilledCorpus(corpus.name, corpus.places, corpus.read, translations, references)


def _translate(
    config: Config, pairs: Iterable[Pair], translations: TeacherTranslations, teachers: list[str]
) -> None:
    """Translate the missing chunks."""
    distill = config.data.distill
    settings: dict[str, Any] = {"n_best": distill.n_best}
    if distill.beam_size is not None:
        settings["beam_size"] = distill.beam_size
    translator = load_teacher(distill, config.training.device, teachers)
    missing = translations.missing()
    left = translations.sentences(missing)
    done = translations.total - left
    log.info("the teacher translates %s sentences; %s are done", f"{left:,}", f"{done:,}")
    problems = 0
    with ProgressBar("sentence", translations.total, done) as bar:
        for number, chunk in enumerate(chunked(pairs)):
            if number in missing:
                outputs = translator.translate([source for source, _ in chunk], **settings)
                translations.write(number, _texts(outputs))
                problems += sum(output.problem is not None for output in outputs)
                bar.advance(len(chunk))
                bar.log_pace()
    if problems:
        log.info("%d of %d sentences or translations were cut", problems, left)


def _texts(outputs: list[Translation]) -> list[list[str]]:
    for output in outputs:
        if output.failed:
            raise NmtError(f"data.distill: {output.problem}; give a smaller data.distill.beam_size")
    return [[candidate.text for candidate in output.n_best] for output in outputs]
