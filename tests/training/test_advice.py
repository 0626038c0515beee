"""Every warning at its threshold, and none where all is well."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from nmt.config import Config, load_config
from nmt.data.leakage import Overlap
from nmt.data.round_trip import RoundTrip
from nmt.data.statistics import PlanFacts, SideFacts, SplitFacts
from nmt.training.advice import advice
from nmt.training.check import Check, Cost, FilterFacts
from nmt.training.measure import MemoryFacts, TimeFacts

SIDE = SideFacts(10_000, 50, 8_000, 1.25, 5.0, 0.0, 1.0, [], 0.9)
FILTERS = (
    *("empty", "control_characters", "untranslated", "script"),
    *("too_long", "length_ratio", "overlap", "duplicates"),
)
WELL = Check(
    source_language="de",
    target_language="en",
    distill=None,
    splits={name: SplitFacts(1000, 1000, SIDE, SIDE) for name in ("train", "validation", "test")},
    filters=FilterFacts(
        1000, 1000, {"too_long": 100}, dict.fromkeys(FILTERS, 0), {"empty": 0, "too_long": 0}
    ),
    lengths=[],
    overlaps=[Overlap("validation", "train", 1000, 0, 10, 500)],
    round_trip=(RoundTrip(9, 2, 90.0, "13a", [("①", "1")]), RoundTrip(9, 0, 100.0, "13a", [])),
    source_pieces=8000,
    target_pieces=8000,
    shared_vocabulary=True,
    plan=PlanFacts(100, 100, 80.0, 2000.0, 0.01, 0.1),
    cost=Cost(
        device="cpu (2 threads)",
        precision="fp32",
        parameters=1000,
        memory=MemoryFacts(2**30, 2**30, 2**34),
        update=TimeFacts(3, 1.0, 2000.0, 0.1),
        total_updates=5000,
        validations=10,
        estimated_seconds=5000.0,
    ),
    warnings=[],
)


def config(tmp_path: Any, *words: str) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text("data: {source_language: de, target_language: en}")
    return load_config(path, words)


def split(**changes: Any) -> dict[str, Any]:
    side = dataclasses.replace(SIDE, **changes)
    return {"splits": WELL.splits | {"train": SplitFacts(1000, 1000, side, SIDE)}}


def filters(kept: int = 1000, found: Any = None, left_out: Any = None) -> dict[str, Any]:
    before = WELL.filters
    return {
        "filters": dataclasses.replace(
            before,
            kept=kept,
            found=before.found | (found or {}),
            left_out=before.left_out | (left_out or {}),
        )
    }


def plan(**changes: Any) -> dict[str, Any]:
    return {"plan": dataclasses.replace(WELL.plan, **changes)}


def cost(**changes: Any) -> dict[str, Any]:
    return {"cost": dataclasses.replace(WELL.cost, **changes)}


LOSSY = {"round_trip": (WELL.round_trip[0], RoundTrip(9, 2, 91.2, "13a", [("a m²", "a m2")]))}

CASES: list[tuple[dict[str, Any], list[str], str]] = [
    (
        {"overlaps": [Overlap("test", "validation", 1000, 1000, 1000, 1000, True)]},
        [],
        "test and validation are the same 1,000 pairs: cut validation out of train with "
        "data.splits.validation: {cut: 2000}",
    ),
    (
        {"overlaps": [Overlap("test", "validation", 1000, 2, 3, 3)]},
        [],
        "validation has 2 of the 1,000 pairs of test, and the source of 3: cut validation",
    ),
    (
        {"overlaps": [Overlap("test", "train", 1000, 0, 11, 0)]} | filters(found={"overlap": 40}),
        [],
        "train has 0 of the 1,000 pairs of test, and the source of 11: "
        "leave 40 pairs out of it with data.filters.overlap: true",
    ),
    (
        LOSSY,
        ["--tokenizer.target_normalization", "nfkc"],
        "changes 2 of 9 en references (BLEU 91.20 at most), such as 'a m²' → 'a m2': set "
        "tokenizer.target_normalization: identity",
    ),
    (LOSSY, [], "set tokenizer.byte_fallback: true"),
    (LOSSY, ["--tokenizer.model", "word"], "tokenizer.model: unigram"),
    (LOSSY, ["--tokenizer.path", "own.model"], "tokenizer.path"),
    (
        split(unknown_rate=0.0011, commonest_unknown=[("漢", 9), ("字", 2)]),
        [],
        "many de tokens are unknown (0.11 % of train), such as 漢 字: set "
        "tokenizer.byte_fallback: true",
    ),
    (
        split(unknown_rate=0.01),
        ["--tokenizer.character_coverage", "0.99"],
        "or raise tokenizer.character_coverage above 0.99",
    ),
    (split(unknown_rate=0.01), ["--tokenizer.model", "word"], "use tokenizer.model: unigram"),
    (
        split(tokens_per_word=2.1),
        [],
        "words of de take 2.1 tokens each: raise tokenizer.vocabulary_size above 8,000",
    ),
    (
        filters(kept=940, left_out={"too_long": 60}),
        [],
        "6.00 % of train is longer than 100 tokens: raise data.max_length",
    ),
    (
        filters(kept=940, left_out={"too_long": 60}),
        ["--data.max_length", "null"],
        "6.00 % of train is longer than 100 tokens: raise training.batch_tokens",
    ),
    (
        filters(kept=750, left_out={"empty": 240, "too_long": 10}),
        [],
        "the filters leave out 25.00 % of train, most of it as empty",
    ),
    (
        filters(found={"duplicates": 101}),
        [],
        "101 pairs of train stand there before: leave them out with data.filters.duplicates: true",
    ),
    (filters(found={"length_ratio": 11}), [], "leave them out with data.filters.length_ratio: 4"),
    (
        plan(target_padding=0.21),
        [],
        "21.00 % of what is computed of the en side is padding: lower training.batch_tokens",
    ),
    (
        plan(sentences_per_update=9.5),
        [],
        "an update learns from 9.5 sentences: raise training.batch_tokens above 4,096",
    ),
    (
        cost(total_updates=600),
        [],
        "training.warmup_updates 200 is much of 600 updates: lower it to 60",
    ),
    (
        cost(total_updates=499),
        ["--training.warmup_updates", "0"],
        "training.validate_every 500 is more than all 499 updates",
    ),
    (
        cost(memory=MemoryFacts(2**32, 2**34, 2**34)),
        [],
        "training needs about 20.0 GiB of 16.0: lower training.batch_tokens",
    ),
    (cost(estimated_seconds=130_000.0), [], "training takes about 1.5 days on cpu (2 threads)"),
]


def test_where_all_is_well_nothing_is_said(tmp_path: Any) -> None:
    assert advice(WELL, config(tmp_path)) == []


@pytest.mark.parametrize(("changes", "words", "told"), CASES, ids=lambda value: str(value)[:50])
def test_a_warning_says_what_to_do(
    tmp_path: Any, changes: dict[str, Any], words: list[str], told: str
) -> None:
    (line,) = advice(dataclasses.replace(WELL, **changes), config(tmp_path, *words))
    assert told in line and "\n" not in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (split(tokens_per_word=9.0, characters_per_word=15.0), []),  # Chinese has no spaces
        (split(tokens_per_word=5.0), ["--tokenizer.model", "char"]),
        (filters(found={"duplicates": 150}, left_out={"duplicates": 150}, kept=850), []),
        ({"overlaps": CASES[2][0]["overlaps"]} | filters(left_out={"overlap": 0}), []),
        (cost(memory=MemoryFacts(2**32, 2**34, None)), []),
    ],
)
def test_what_is_meant_or_taken_care_of_is_not_said(
    tmp_path: Any, changes: dict[str, Any], words: list[str]
) -> None:
    assert advice(dataclasses.replace(WELL, **changes), config(tmp_path, *words)) == []


def test_other_processes_are_named_with_the_cores_they_use(tmp_path: Path) -> None:
    busy = dataclasses.replace(WELL.cost.update, cores_of_others=1.04)
    found = dataclasses.replace(WELL, cost=dataclasses.replace(WELL.cost, update=busy))
    (line,) = advice(found, config(tmp_path))
    assert "1.0 CPU cores" in line and "training.threads" in line
