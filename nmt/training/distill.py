"""Learning from a teacher: its checks, and its translations of the training source in the cache.

Source: Kim and Rush 2016, Sequence-Level Knowledge Distillation, section 3.2.
"""

from collections.abc import Iterable
from typing import Any

import torch

from nmt.bundle import find_bundle, load_bundle
from nmt.config import Config, DataConfig, DistillConfig
from nmt.data.cache import find_translations
from nmt.data.chunks import chunked
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus
from nmt.data.distilled import DistilledCorpus, TeacherTranslations
from nmt.data.scan import CorpusScan
from nmt.errors import ConfigError, DataError, NmtError, naming_key
from nmt.inference.loading import misfit
from nmt.inference.search import Translation
from nmt.inference.threads import torch_threads
from nmt.inference.translator import Translator
from nmt.log import ProgressBar, log
from nmt.reading import sha256
from nmt.storage import locked
from nmt.text.lines import writing_to
from nmt.training.distributed import local_world_size


def teachers_of(config: DataConfig) -> list[str]:
    """Check every teacher by loading it, and return the SHA-256 of its `bundle.json`.

    Args:
        config: the `data` section.

    Raises:
        BundleError: a model is missing or damaged.
        ConfigError: a model translates between other languages, or its beam is too small.
    """
    distill = config.distill
    if not distill.teachers:
        return []
    with naming_key("data.distill.teacher"):
        bundles = {name: load_bundle(name) for name in distill.teachers}
    first = next(iter(bundles))
    for name, bundle in bundles.items():
        if wrong := misfit(bundles[first], bundle):
            raise ConfigError(f"data.distill.teacher: {first} and {name} {wrong}")
        theirs = bundle.config.data.languages
        if theirs != config.languages:
            raise ConfigError(
                f"data.distill.teacher: {name} translates {theirs[0]} → {theirs[1]}, not "
                f"{config.source_language} → {config.target_language}; choose another"
            )
    beam_size = bundles[first].config.decoding.beam_size
    if distill.beam_size is None and distill.n_best > beam_size:
        raise ConfigError(
            f"data.distill.n_best: {distill.n_best} exceeds the beam: that of {first} holds "
            f"{beam_size}; give data.distill.beam_size of at least {distill.n_best}"
        )
    return _hashes(distill)


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
            if missing := translations.missing():  # no other process has made them meanwhile
                _translate(config, corpus.pairs("train"), translations, missing, teachers)
        torch.cuda.empty_cache()  # frees the teacher's memory
    log.info("the teacher's translations are in %s", translations.folder)
    references = config.data.distill.references
    return DistilledCorpus(corpus.name, corpus.places, corpus.read, translations, references)


def _translate(
    config: Config,
    pairs: Iterable[Pair],
    translations: TeacherTranslations,
    missing: set[int],
    teachers: list[str],
) -> None:
    """Translate the missing chunks."""
    distill = config.data.distill
    settings: dict[str, Any] = {"n_best": distill.n_best}
    if distill.beam_size is not None:
        settings["beam_size"] = distill.beam_size
    translator = _load_teacher(distill, config.training.device, teachers)
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


def _load_teacher(distill: DistillConfig, device: str, teachers: list[str]) -> Translator:
    """Load the teacher as one translator.

    Args:
        distill: names the models.
        device: auto, cpu or cuda.
        teachers: hashes from `teachers_of`.

    Raises:
        BundleError: a model is missing or damaged.
        DataError: a model has changed since its hash was taken.
    """
    first, *others = distill.teachers
    with naming_key("data.distill.teacher"):
        translator = Translator.load(first, ensemble=others, device=device)
        now = _hashes(distill)
    for name, before, after in zip(distill.teachers, teachers, now, strict=True):
        if before != after:
            raise DataError(
                f"data.distill.teacher: {name} has changed since the run began; put the old model "
                "back, or choose another folder with --run"
            )
    return translator


def _hashes(distill: DistillConfig) -> list[str]:
    return [sha256(find_bundle(name) / "bundle.json") for name in distill.teachers]
