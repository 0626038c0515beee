"""What had better be changed before training, from the numbers of a check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nmt.config import Config
from nmt.data.round_trip import round_trip_warning

if TYPE_CHECKING:
    from nmt.training.check import Check

SOURCES_SEEN = 0.01  # a common pair is always said
UNKNOWN_RATE = 0.001
TOKENS_PER_WORD = 2.0
CHARACTERS_PER_WORD = 12  # above, white space does not part words: Chinese, Japanese, Thai
LEFT_OUT = 0.2
TOO_LONG = 0.05
FOUND = {  # share of train that a filter finds and that is worth a word while it is off
    "control_characters": (0.001, "hold control characters", "true"),
    "untranslated": (0.01, "have the same text on both sides", "true"),
    "script": (0.01, "are in another script than validation", "0.5"),
    "length_ratio": (0.01, "have sides of very unlike length", "4"),
    "duplicates": (0.1, "stand there before", "true"),
}
PADDING = 0.2
SENTENCES_PER_UPDATE = 10
WARMUP = 0.3
MEMORY = 0.9
CORES_OF_OTHERS = 0.3
DAY = 24 * 3600


def advice(check: Check, config: Config) -> list[str]:
    """Return what is wrong and what to do about it, a line each."""
    parts = (_leaks, _unknown, _round_trip, _words, _filters, _batches, _course, _cost)
    return [line for part in parts for line in part(check, config)]


def _leaks(check: Check, config: Config) -> Iterator[str]:
    for leak in check.overlaps:
        if not leak.pairs and leak.sources <= SOURCES_SEEN * leak.size:
            continue
        seen = f"{leak.pairs:,} of the {leak.size:,} pairs of {leak.split}"
        if leak.other != "train":
            cut = f"cut {leak.other} out of train with data.splits.{leak.other}: {{cut: 2000}}"
            if leak.identical:
                yield f"{leak.split} and {leak.other} are the same {leak.size:,} pairs: {cut}"
            else:
                yield f"{leak.other} has {seen}, and the source of {leak.sources:,}: {cut}"
        elif "overlap" not in check.filters.left_out:
            taken = check.filters.found.get("overlap", 0)
            remedy = f"leave {taken:,} pairs out of it with data.filters.overlap: true"
            yield f"train has {seen}, and the source of {leak.sources:,}: {remedy}"


def _unknown(check: Check, config: Config) -> Iterator[str]:
    tokenizer = config.tokenizer
    remedy = "set tokenizer.byte_fallback: true"
    if tokenizer.model == "word":
        remedy = "raise tokenizer.vocabulary_size, or use tokenizer.model: unigram"
    elif tokenizer.character_coverage < 1:
        remedy += f", or raise tokenizer.character_coverage above {tokenizer.character_coverage}"
    for number, language in enumerate((check.source_language, check.target_language)):
        sides = {name: (split.source, split.target)[number] for name, split in check.splits.items()}
        bad = {name: side for name, side in sides.items() if side.unknown_rate > UNKNOWN_RATE}
        if bad:
            rates = ", ".join(
                f"{_percent(side.unknown_rate)} of {name}" for name, side in bad.items()
            )
            worst = max(bad.values(), key=lambda side: side.unknown_rate)
            shown = " ".join(part for part, _ in worst.commonest_unknown[:5])
            yield f"many {language} tokens are unknown ({rates}), such as {shown}: {remedy}"


def _round_trip(check: Check, config: Config) -> Iterator[str]:
    told = round_trip_warning(check.round_trip[1], check.target_language, config.tokenizer)
    yield from [] if told is None else [told]


def _words(check: Check, config: Config) -> Iterator[str]:
    train, tokenizer = check.splits["train"], config.tokenizer
    for language, side in (
        (check.source_language, train.source),
        (check.target_language, train.target),
    ):
        parted = side.characters_per_word < CHARACTERS_PER_WORD
        pieces = tokenizer.model in ("unigram", "bpe")
        if pieces and parted and side.tokens_per_word > TOKENS_PER_WORD:
            yield (
                f"words of {language} take {side.tokens_per_word:.1f} tokens each: "
                f"raise tokenizer.vocabulary_size above {tokenizer.vocabulary_size:,}"
            )


def _filters(check: Check, config: Config) -> Iterator[str]:
    filters = check.filters
    too_long = filters.left_out.get("too_long", 0) / filters.pairs
    if too_long > TOO_LONG:
        key = "data.max_length" if config.data.max_length else "training.batch_tokens"
        limit = filters.settings["too_long"]
        yield f"{_percent(too_long)} of train is longer than {limit} tokens: raise {key}"
    left_out = 1 - filters.kept / filters.pairs
    if left_out > LEFT_OUT:
        most = max(filters.left_out, key=lambda name: filters.left_out[name])
        yield (
            f"the filters leave out {_percent(left_out)} of train, most of it as {most}: "
            "see whether that is what you want"
        )
    for name, (limit, what, value) in FOUND.items():
        count = filters.found.get(name, 0)
        if name not in filters.left_out and count / filters.pairs > limit:
            remedy = f"leave them out with data.filters.{name}: {value}"
            yield f"{count:,} pairs of train {what}: {remedy}"


def _batches(check: Check, config: Config) -> Iterator[str]:
    plan, training = check.plan, config.training
    for language, padding in (
        (check.source_language, plan.source_padding),
        (check.target_language, plan.target_padding),
    ):
        if padding > PADDING:
            yield (
                f"{_percent(padding)} of what is computed of the {language} side is padding: "
                "lower training.batch_tokens, and raise training.accumulate instead"
            )
    if plan.sentences_per_update < SENTENCES_PER_UPDATE:
        yield (
            f"an update learns from {plan.sentences_per_update:.1f} sentences: "
            f"raise training.batch_tokens above {training.batch_tokens:,}, or training.accumulate"
        )


def _course(check: Check, config: Config) -> Iterator[str]:
    total, training = check.cost.total_updates, config.training
    if training.warmup_updates > WARMUP * total:
        yield (
            f"training.warmup_updates {training.warmup_updates:,} is much of {total:,} updates: "
            f"lower it to {total // 10:,}, or train longer"
        )
    if training.validate_every > total:
        yield (
            f"training.validate_every {training.validate_every:,} is more than all {total:,} "
            f"updates, and only the last model is looked at: lower it to {max(1, total // 10):,}"
        )


def _cost(check: Check, config: Config) -> Iterator[str]:
    cost, memory = check.cost, check.cost.memory
    needed = memory.parameters + memory.activations
    if memory.device is not None and needed > MEMORY * memory.device:
        yield (
            f"training needs about {needed / 2**30:.1f} GiB of {memory.device / 2**30:.1f}: lower "
            "training.batch_tokens (and raise training.accumulate), or take a smaller model"
        )
    if cost.update.cores_of_others > CORES_OF_OTHERS:
        yield (
            f"other processes use {cost.update.cores_of_others:.1f} CPU cores: speed and time are "
            "those beside them; stop them, or set training.threads to the cores that are free"
        )
    if cost.estimated_seconds > DAY:
        yield (
            f"training takes about {cost.estimated_seconds / DAY:.1f} days on {cost.device}: "
            "take a faster device, fewer training.max_updates or a smaller model"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
