"""Settings to change before training, derived from `nmt check`."""

from collections.abc import Iterator

from nmt.config import Config
from nmt.data.round_trip import other_tokenizer, round_trip_warning, unknown_remedy
from nmt.log import percent
from nmt.preflight.check_records import Check

SOURCES_SEEN = 0.01  # shared sources; a shared pair is always reported
UNKNOWN = 0.001
LEFT_OUT = 0.2
TOO_LONG = 0.05
FOUND = {  # share of train from which matches of an inactive filter are reported
    "control_characters": (0.001, "hold control characters", "true"),
    "untranslated": (0.01, "have the same text on both sides", "true"),
    "script": (0.01, "are in another script than validation", "0.5"),
    "length_ratio": (0.01, "have sides of very different lengths", "4"),
    "duplicates": (0.1, "are duplicates", "true"),
}
SENTENCES_PER_UPDATE = 10
WARMUP = 0.3
MEMORY = 0.9
CORES_OF_OTHERS = 0.3
DAY = 24 * 60
SIZES = {10**4: (2000, 256), 10**5: (4000, 256), 10**6: (8000, 512), 4 * 10**6: (16_000, 1024)}
"""Bound on the pairs, with the vocabulary and hidden size of similar configs in `configs/`."""
LARGEST = (32_000, 1024)
TOO_LARGE = 4


def usual_sizes(pairs: int) -> tuple[int, int]:
    """Return the usual vocabulary size and hidden size for a number of training pairs."""
    return next((sizes for most, sizes in SIZES.items() if pairs <= most), LARGEST)


def advice(check: Check, config: Config) -> list[str]:
    """Return a line for each fault, with a remedy that `train` would accept."""
    parts = (_leaks, _unknown, _sizes, _filters, _batches, _cost)
    lines = [line for part in parts for line in part(check, config)]
    lossy = round_trip_warning(check.round_trip[1], check.languages[1], config)
    return lines if lossy is None else [*lines, lossy]


def _leaks(check: Check, config: Config) -> Iterator[str]:
    for leak in check.overlaps:
        if not leak.pairs and leak.sources <= SOURCES_SEEN * leak.size:
            continue
        count, what = (leak.pairs, "pairs") if leak.pairs else (leak.sources, "sources")
        also = f" (and {leak.sources:,} of its sources)" if leak.sources > count else ""
        shared = f"{count:,} of the {leak.size:,} {what} of {leak.split}{also}"
        fault = f"{shared} are also in {leak.other}"
        if leak.other != "train":
            yield f"{fault}: cut {leak.other} out of train, data.splits.{leak.other}: {{cut: 2000}}"
        elif "overlap" not in check.facts.left_out:
            yield f"{fault}: leave them out of train with data.filters.overlap: true"


def _unknown(check: Check, config: Config) -> Iterator[str]:
    for number, language in enumerate(check.languages):
        sides = {name: (split.source, split.target)[number] for name, split in check.splits.items()}
        name, worst = max(sides.items(), key=lambda side: side[1].unknown)
        if worst.unknown > UNKNOWN:
            shown = " ".join(part for part, _ in worst.commonest_unknown[:5])
            fault = f"{percent(worst.unknown)} of the {language} tokens of {name} are unknown"
            yield f"{fault}, such as {shown}: {unknown_remedy(config)}"


def _sizes(check: Check, config: Config) -> Iterator[str]:
    usual = usual_sizes(check.facts.kept)
    subwords = config.tokenizer.model in ("unigram", "bpe") and not other_tokenizer(config)
    for free, key, given, size in (
        (subwords, "tokenizer.vocabulary_size", config.tokenizer.vocabulary_size, usual[0]),
        (not config.training.init_from, "model.hidden_size", config.model.hidden_size, usual[1]),
    ):
        if free and given >= TOO_LARGE * size:
            yield f"{key} {given:,} is large for {check.facts.kept:,} pairs: {size:,} is usual"


def _filters(check: Check, config: Config) -> Iterator[str]:
    facts = check.facts
    too_long = facts.left_out.get("too_long", 0) / facts.pairs
    if too_long > TOO_LONG:
        key = "data.max_length" if config.data.max_length else "training.batch_tokens"
        limit = check.filters["too_long"]
        yield f"{percent(too_long)} of train is longer than {limit} tokens: raise {key}"
    left_out = 1 - facts.kept / facts.pairs
    if left_out > LEFT_OUT:
        most = max(facts.left_out, key=lambda name: facts.left_out[name])
        yield f"the filters leave out {percent(left_out)} of train, most of it as {most}"
    for name, (limit, what, value) in FOUND.items():
        count = facts.found.get(name, 0)
        if name not in facts.left_out and count > limit * facts.pairs:
            remedy = f"leave them out with data.filters.{name}: {value}"
            yield f"{count:,} pairs of train {what}: {remedy}"


def _batches(check: Check, config: Config) -> Iterator[str]:
    cost, total, training = check.cost, check.cost.total_updates, config.training
    if cost.sentences_per_update < SENTENCES_PER_UPDATE:
        remedy = f"raise training.batch_tokens above {training.batch_tokens:,}"
        yield f"an update has only {cost.sentences_per_update:.1f} sentences: {remedy}"
    for key, most in (("warmup_updates", WARMUP * total), ("validate_every", total)):
        value = getattr(training, key)
        if value > most:
            remedy = f"lower it to {max(1, total // 10):,}, or train longer"
            yield f"training.{key} {value:,} is large for {total:,} updates: {remedy}"


def _cost(check: Check, config: Config) -> Iterator[str]:
    cost = check.cost
    smaller = "" if config.training.init_from else ", or take a smaller model"
    if cost.peak_gib > MEMORY * cost.device_gib:
        memory = f"{cost.peak_gib:.1f} GiB of {cost.device_gib:.1f}"
        yield f"training needs {memory}: lower training.batch_tokens{smaller}"
    if cost.cores_of_others > CORES_OF_OTHERS:
        cores = f"{cost.cores_of_others:.1f} CPU cores"
        yield f"other processes use {cores}: stop them, or lower training.threads"
    if cost.estimated_minutes > DAY:
        days = f"{cost.estimated_minutes / DAY:.1f} days on {cost.device}"
        yield f"training takes about {days}: lower training.max_updates{smaller}"
