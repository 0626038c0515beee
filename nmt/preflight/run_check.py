"""`nmt check`: measures the data and the cost of a training run, and advises changes before it."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from nmt.config import Config, DataConfig
from nmt.data.cache import find_translations
from nmt.data.chunks import chunked, show_progress
from nmt.data.columns import Pair
from nmt.data.corpus import open_corpus
from nmt.data.distilled import references_alone
from nmt.data.filters import FilterSettings
from nmt.data.round_trip import RoundTrip, round_trip
from nmt.data.scan import scan_corpus
from nmt.evaluation.breakdowns import spread
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.references import scoring_warnings
from nmt.inference.device import find_device, find_precision
from nmt.log import log
from nmt.preflight.advice import advice
from nmt.preflight.check_records import Check, SplitFacts
from nmt.preflight.cost import measure
from nmt.preflight.leakage import Overlap, find_overlaps
from nmt.preflight.statistics import Lengths, side_facts
from nmt.preflight.suspicions import suspicions
from nmt.training.data_module import TranslationData
from nmt.training.distill import teachers_of
from nmt.training.launch import num_processes

_SAMPLE = 100_000
_EXAMPLES = 3


def check(config: Config) -> Check:
    """Check the data and the cost of a run without training it; only the data cache is written.

    Args:
        config: of the run.

    Raises:
        ConfigError, DataError, BundleError: as `train` would.
        NmtError: training does not fit into memory.
    """
    device = find_device(config.training.device, "training.device")
    precision = find_precision(config.training.precision, device, "training.precision")
    translated = None
    if config.data.distill.teachers:
        translated = _translated(config.data)
        config = references_alone(config)
    data = TranslationData(config)
    data.setup()
    config, pairs, tokenizer = data.config, data.pairs, data.tokenizer
    processes = num_processes(config.training, device)
    target = TargetLanguage.of(config.data)
    held_out = dict(sorted(data.held_out.items(), key=lambda split: split[0] != "validation"))
    sample, overlaps, doubts = _read_train(data, held_out)
    for name, split in held_out.items():
        doubts += suspicions(name, split, config.data)
    lengths = pairs.source_lengths - 1, pairs.target_lengths - 1
    measured = Check(
        languages=config.data.languages,
        splits={
            "train": _split_facts(data, sample, lengths),
            **{name: _split_facts(data, split) for name, split in held_out.items()},
        },
        facts=pairs.facts,
        filters=FilterSettings.of(config).by_name,
        overlaps=overlaps,
        round_trip=_round_trips(data, target),
        vocabularies=sorted({len(tokenizer.source), len(tokenizer.target)}),
        cost=measure(data, processes, device, precision),
        translated=translated,
        warnings=doubts,
    )
    references = [text for _, text in data.held_out["validation"]]
    doubts += [*scoring_warnings(references, target), *advice(measured, config)]
    return measured


def _translated(config: DataConfig) -> tuple[int, int]:
    """Check the teacher, and count its translations and all sentences; nothing is written."""
    scan = scan_corpus(open_corpus(config))
    translations = find_translations(config, scan, teachers_of(config))
    return scan.pairs - translations.sentences(translations.missing()), scan.pairs


def _read_train(
    data: TranslationData, held_out: Mapping[str, Sequence[Pair]]
) -> tuple[list[Pair], list[Overlap], list[str]]:
    """Read train once, and return a sample of it, its overlaps with other splits, and doubts."""
    log.info("comparing train with the other splits")
    size = data.pairs.facts.pairs
    every = -(-size // _SAMPLE)
    sample: list[Pair] = []
    doubts: list[str] = []

    def pairs() -> Iterator[Pair]:
        seen = 0
        rows = open_corpus(data.config.data, only="train").pairs("train")
        for chunk in show_progress(chunked(rows), "comparing", size):
            if not doubts:
                doubts.extend(suspicions("train", chunk, data.config.data, first=seen + 1))
            sample.extend(chunk[-seen % every :: every])
            seen += len(chunk)
            yield from chunk

    overlaps = find_overlaps(pairs(), held_out)
    return sample, overlaps, doubts


def _split_facts(
    data: TranslationData, pairs: Sequence[Pair], lengths: tuple[Lengths, Lengths] | None = None
) -> SplitFacts:
    """Measure a split; of train, `pairs` is a sample and `lengths` are of all kept pairs."""
    sources, targets = zip(*pairs, strict=True)
    whole = lengths or (None, None)
    return SplitFacts(
        side_facts(data.tokenizer.source, sources, whole[0]),
        side_facts(data.tokenizer.target, targets, whole[1]),
        examples=spread(pairs, _EXAMPLES),
        sampled=len(pairs),
    )


def _round_trips(data: TranslationData, target: TargetLanguage) -> tuple[RoundTrip, RoundTrip]:
    sources, targets = zip(*itertools.chain(*data.held_out.values()), strict=True)
    source = TargetLanguage(data.config.data.source_language)
    return (
        round_trip(data.tokenizer.source, sources, source),
        round_trip(data.tokenizer.target, targets, target),
    )
