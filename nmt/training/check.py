"""What training would learn from, what it would cost, and what had better be changed before."""

import dataclasses
import itertools
import logging
from collections.abc import Iterable, Iterator

import torch

from nmt.config import Config, DataConfig
from nmt.data.cache import find_translations
from nmt.data.chunks import chunked, show_progress
from nmt.data.columns import Pair
from nmt.data.corpus import open_corpus
from nmt.data.distilled import references_alone
from nmt.data.filters import Rules
from nmt.data.leakage import Overlap, find_overlaps
from nmt.data.round_trip import RoundTrip, round_trip
from nmt.data.statistics import (
    LengthBin,
    Lengths,
    PlanFacts,
    SideFacts,
    SplitFacts,
    length_histogram,
    plan_facts,
    side_facts,
)
from nmt.data.survey import survey
from nmt.errors import NmtError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.references import scoring_warnings
from nmt.inference.device import describe_device, find_device, find_precision
from nmt.training.advice import advice
from nmt.training.data_module import TranslationData
from nmt.training.launch import num_processes
from nmt.training.measure import MemoryFacts, TimeFacts, measure_memory, time_updates
from nmt.training.module import TranslationModule
from nmt.training.teacher import teachers_of

_log = logging.getLogger("nmt")
_SAMPLE = 100_000


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


@dataclasses.dataclass(frozen=True)
class FilterFacts:
    """What the filters make of train.

    Attributes:
        pairs: raw pairs.
        kept: pairs to train on.
        settings: of each filter; None and False are off.
        found: pairs that each filter matches, whether it is on or off.
        left_out: pairs that each filter which is on left out; the first that matches counts.
    """

    pairs: int
    kept: int
    settings: dict[str, bool | float | None]
    found: dict[str, int]
    left_out: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Cost:
    """What training takes.

    Attributes:
        device: where it would compute.
        precision: fp32 or bf16.
        parameters: of the network.
        memory: estimated.
        update: the time of one.
        total_updates: where training ends by itself, at the latest.
        validations: until then.
        estimated_seconds: until then, without the validations.
    """

    device: str
    precision: str
    parameters: int
    memory: MemoryFacts
    update: TimeFacts
    total_updates: int
    validations: int
    estimated_seconds: float


@dataclasses.dataclass(frozen=True)
class Check:
    """Plain numbers and words, as `nmt check` shows them.

    Attributes:
        source_language: language tag.
        target_language: language tag.
        distill: the teacher; None without. References stand in for its translations in all else.
        splits: facts by split, train first.
        filters: what became of train's raw pairs.
        lengths: histogram of the pairs to train on.
        overlaps: what splits have in common.
        round_trip: of the held-out splits, their sources and their targets.
        source_pieces: size of the source vocabulary.
        target_pieces: size of the target vocabulary.
        shared_vocabulary: whether the two are one.
        plan: the first epoch.
        cost: of the whole training.
        warnings: what had better be changed, a line each.
    """

    source_language: str
    target_language: str
    distill: DistillFacts | None
    splits: dict[str, SplitFacts]
    filters: FilterFacts
    lengths: list[LengthBin]
    overlaps: list[Overlap]
    round_trip: tuple[RoundTrip, RoundTrip]
    source_pieces: int
    target_pieces: int
    shared_vocabulary: bool
    plan: PlanFacts
    cost: Cost
    warnings: list[str]


def _distill_facts(config: DataConfig) -> DistillFacts:
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


def check(config: Config) -> Check:
    """Look at everything a run would do, without doing it. Only the data cache is written.

    Args:
        config: the run's.

    Raises:
        ConfigError, DataError, BundleError: what `train` would raise.
        NmtError: an update does not fit into the GPU's memory.
    """
    device = find_device(config.training.device, "training.device")
    precision = find_precision(config.training.precision, device, "training.precision")
    distill = None
    if config.data.distill.teachers:
        distill = _distill_facts(config.data)
        config = dataclasses.replace(config, data=references_alone(config.data))
    data = TranslationData(config)
    data.setup()
    splits, overlaps = _read_splits(data)
    config, pairs, tokenizer = data.config, data.pairs, data.tokenizer
    processes = num_processes(config.training, device)
    plan = data.updates(world_size=processes).plan(0)
    found = Check(
        source_language=config.data.source_language,
        target_language=config.data.target_language,
        distill=distill,
        splits=splits,
        filters=_filter_facts(data),
        lengths=length_histogram(pairs.source_lengths - 1, pairs.target_lengths - 1),
        overlaps=overlaps,
        round_trip=_round_trips(data),
        source_pieces=len(tokenizer.source),
        target_pieces=len(tokenizer.target),
        shared_vocabulary=tokenizer.shared,
        plan=plan_facts(plan, pairs.source_lengths, pairs.target_lengths),
        cost=_measure(data, processes, device, precision),
        warnings=[],
    )
    references = [text for _, text in data.held_out["validation"]]
    warnings = scoring_warnings(references, TargetLanguage.of(config.data))
    return dataclasses.replace(found, warnings=[*warnings, *advice(found, config)])


def _filter_facts(data: TranslationData) -> FilterFacts:
    facts = data.pairs.facts
    settings = Rules.of(data.config).settings
    return FilterFacts(facts.pairs, facts.kept, settings, facts.found, facts.left_out)


def _round_trips(data: TranslationData) -> tuple[RoundTrip, RoundTrip]:
    config, tokenizer = data.config.data, data.tokenizer
    sources, targets = zip(*itertools.chain(*data.held_out.values()), strict=True)
    return (
        round_trip(tokenizer.source, sources, TargetLanguage(config.source_language)),
        round_trip(tokenizer.target, targets, TargetLanguage.of(config)),
    )


def _measure(data: TranslationData, processes: int, device: torch.device, precision: str) -> Cost:
    """Make a few updates on the device, which changes the network's weights."""
    described = describe_device(device)
    _log.info("timing a few updates on %s", described)
    module = TranslationModule(data.config)
    module.build(data)
    updates = data.updates(world_size=processes)
    total_updates = data.total_updates(processes)
    threads = torch.get_num_threads()
    try:
        if device.type == "cpu":  # one rank's share of the work, with its share of the machine
            torch.set_num_threads(data.config.training.threads or max(1, threads // processes))
        memory = measure_memory(module, updates, data.pairs, device, precision)
        update = time_updates(module, updates, device, precision)
    except torch.cuda.OutOfMemoryError:
        raise NmtError(
            f"an update does not fit into the memory of {described}: lower training.batch_tokens "
            "(and raise training.accumulate), or take a smaller model"
        ) from None
    finally:
        torch.set_num_threads(threads)
    return Cost(
        device=described,
        precision=precision,
        parameters=sum(parameter.numel() for parameter in module.model.parameters()),
        memory=memory,
        update=update,
        total_updates=total_updates,
        validations=-(-total_updates // data.config.training.validate_every),
        estimated_seconds=total_updates * update.seconds_per_update,
    )


def _read_splits(data: TranslationData) -> tuple[dict[str, SplitFacts], list[Overlap]]:
    """Measure every split and compare them; train is read once, and a sample of it kept."""
    _log.info("comparing train with the other splits")
    tokenizer, encoded = data.tokenizer, data.pairs
    names = sorted(data.held_out, key=lambda name: name != "validation")
    held_out = {name: data.held_out[name] for name in names}
    size = encoded.facts.pairs
    chunks = show_progress(
        chunked(open_corpus(data.config.data, only="train").pairs("train")), "comparing", size
    )
    sample: list[Pair] = []
    train = _sampled(itertools.chain.from_iterable(chunks), -(-size // _SAMPLE), sample)
    overlaps = find_overlaps(train, held_out)

    def measured(
        pairs: list[Pair],
        source_lengths: Lengths | None = None,
        target_lengths: Lengths | None = None,
    ) -> tuple[SideFacts, SideFacts]:
        sources, targets = zip(*pairs, strict=True)
        return (
            side_facts(tokenizer.source, sources, source_lengths),
            side_facts(tokenizer.target, targets, target_lengths),
        )

    lengths = encoded.source_lengths - 1, encoded.target_lengths - 1
    splits = {"train": SplitFacts(encoded.facts.kept, len(sample), *measured(sample, *lengths))}
    for name, pairs in held_out.items():
        splits[name] = SplitFacts(len(pairs), len(pairs), *measured(pairs))
    return splits, overlaps


def _sampled(pairs: Iterable[Pair], every: int, sample: list[Pair]) -> Iterator[Pair]:
    """Pass pairs on, and put every so many of them into the sample."""
    for position, pair in enumerate(pairs):
        if position % every == 0:
            sample.append(pair)
        yield pair
