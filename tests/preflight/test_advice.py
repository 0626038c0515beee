"""Every warning at its threshold, and none where all is well."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from nmt.config import Config, load_config
from nmt.data.encoded import Facts
from nmt.data.round_trip import RoundTrip
from nmt.preflight.advice import advice, usual_sizes
from nmt.preflight.check_records import Check, SplitFacts
from nmt.preflight.cost import Cost
from nmt.preflight.leakage import Overlap
from nmt.preflight.statistics import SideFacts
from nmt.report.blocks import Paragraph, Table
from nmt.report.check_report import check_report
from tests.conftest import ROOT

SIDE = SideFacts(1000, 10_000, 10, 50, 1.25, 0.0, 1.0, 0.9, [])
FILTERS = (
    *("empty", "control_characters", "untranslated", "script"),
    *("too_long", "length_ratio", "overlap", "duplicates"),
)
FACTS = Facts("", 20_000, 20_000, 10, 10, dict.fromkeys(FILTERS, 0), {"empty": 0, "too_long": 0})
WELL = Check(
    languages=("de", "en"),
    splits={name: SplitFacts(SIDE, SIDE, [], 1000) for name in ("train", "validation", "test")},
    facts=FACTS,
    filters={"too_long": 100},
    overlaps=[Overlap("validation", "train", 1000, 0, 10, 500)],
    round_trip=(RoundTrip(9, 2, 90.0, "13a", [("①", "1")]), RoundTrip(9, 0, 100.0, "13a", [])),
    vocabularies=[8000],
    cost=Cost(
        device="cpu (2 threads)",
        precision="fp32",
        parameters=1000,
        peak_gib=2.0,
        device_gib=16.0,
        updates_per_epoch=100,
        sentences_per_update=80.0,
        target_tokens_per_update=2000.0,
        seconds_per_update=1.0,
        target_tokens_per_second=2000.0,
        cores_of_others=0.1,
        total_updates=5000,
        validations=10,
        estimated_minutes=80.0,
    ),
    translated=None,
    warnings=[],
)


def config(tmp_path: Any, *words: str) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text("data: {source_language: de, target_language: en}")
    return load_config(path, words)


def split(**changes: Any) -> dict[str, Any]:
    side = dataclasses.replace(SIDE, **changes)
    return {"splits": WELL.splits | {"train": SplitFacts(side, SIDE, [], 1000)}}


def filters(kept: int = 20_000, found: Any = None, left_out: Any = None) -> dict[str, Any]:
    return {
        "facts": dataclasses.replace(
            FACTS,
            kept=kept,
            found=FACTS.found | (found or {}),
            left_out=FACTS.left_out | (left_out or {}),
        )
    }


def cost(**changes: Any) -> dict[str, Any]:
    return {"cost": dataclasses.replace(WELL.cost, **changes)}


LOSSY = {"round_trip": (WELL.round_trip[0], RoundTrip(9, 2, 91.2, "13a", [("a m²", "a m2")]))}

CASES: list[tuple[dict[str, Any], list[str], str]] = [
    (
        {"overlaps": [Overlap("test", "validation", 1000, 2, 3, 3)]},
        [],
        "2 of the 1,000 pairs of test (and 3 of its sources) are also in validation: "
        "cut validation out of train, "
        "data.splits.validation: {cut: 2000}",
    ),
    (
        {"overlaps": [Overlap("test", "train", 1000, 0, 11, 0)]} | filters(found={"overlap": 40}),
        [],
        "11 of the 1,000 sources of test are also in train: leave them out of train with "
        "data.filters.overlap: true",
    ),
    (
        LOSSY,
        ["--tokenizer.target_normalization", "nfkc"],
        "changes 2 of 9 en references (BLEU 91.20 at most), such as 'a m²' → 'a m2': set "
        "tokenizer.target_normalization: identity",
    ),
    (LOSSY, [], "set tokenizer.byte_fallback: true"),
    (LOSSY, ["--tokenizer.model", "word"], "tokenizer.model: unigram"),
    (LOSSY, ["--tokenizer.path", "own.model"], "choose another tokenizer.path"),
    (LOSSY, ["--training.init_from", "run"], "choose another training.init_from"),
    (
        split(unknown=0.0011, commonest_unknown=[("漢", 9), ("字", 2)]),
        [],
        "0.11 % of the de tokens of train are unknown, such as 漢 字: set "
        "tokenizer.byte_fallback: true",
    ),
    (split(unknown=0.01), ["--tokenizer.model", "word"], "use tokenizer.model: unigram"),
    (split(unknown=0.01), ["--training.init_from", "run"], "choose another training.init_from"),
    (
        {},
        ["--tokenizer.vocabulary_size", "16000"],
        "tokenizer.vocabulary_size 16,000 is large for 20,000 pairs: 4,000 is usual",
    ),
    (
        {},
        ["--model.hidden_size", "1024"],
        "model.hidden_size 1,024 is large for 20,000 pairs: 256 is usual",
    ),
    (
        filters(kept=18_800, left_out={"too_long": 1200}),
        [],
        "6 % of train is longer than 100 tokens: raise data.max_length",
    ),
    (
        filters(kept=18_800, left_out={"too_long": 1200}),
        ["--data.max_length", "null"],
        "6 % of train is longer than 100 tokens: raise training.batch_tokens",
    ),
    (
        filters(kept=15_000, left_out={"empty": 4800, "too_long": 200}),
        [],
        "the filters leave out 25 % of train, most of it as empty",
    ),
    (
        filters(found={"duplicates": 2001}),
        [],
        "2,001 pairs of train are duplicates: leave them out with data.filters.duplicates: true",
    ),
    (filters(found={"length_ratio": 201}), [], "leave them out with data.filters.length_ratio: 4"),
    (
        cost(sentences_per_update=9.5),
        [],
        "an update has only 9.5 sentences: raise training.batch_tokens above 4,096",
    ),
    (
        cost(total_updates=600),
        [],
        "training.warmup_updates 200 is large for 600 updates: lower it to 60",
    ),
    (
        cost(total_updates=499),
        ["--training.warmup_updates", "0"],
        "training.validate_every 500 is large for 499 updates: lower it to 49",
    ),
    (
        cost(peak_gib=15.0),
        [],
        "training needs 15.0 GiB of 16.0: lower training.batch_tokens, or take a smaller model",
    ),
    (cost(estimated_minutes=2166.0), [], "training takes about 1.5 days on cpu (2 threads)"),
    (cost(cores_of_others=1.04), [], "1.0 CPU cores: stop them"),
]


def test_where_all_is_well_nothing_is_said(tmp_path: Any) -> None:
    assert advice(WELL, config(tmp_path)) == []


@pytest.mark.parametrize(("changes", "words", "told"), CASES, ids=lambda value: str(value)[:50])
def test_a_warning_says_what_to_do_with_keys_that_a_training_takes(
    tmp_path: Any, changes: dict[str, Any], words: list[str], told: str
) -> None:
    (line,) = advice(dataclasses.replace(WELL, **changes), config(tmp_path, *words))
    assert told in line and "\n" not in line
    for key, value in re.findall(r"((?:data|tokenizer|model|training)[.\w]+): (\{.*\}|\w+)$", line):
        config(tmp_path, *words, f"--{key}", value)
    if "--training.init_from" in words:
        assert "tokenizer." not in line and "model." not in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            split(per_word=5.0),
            ["--tokenizer.model", "char", "--tokenizer.vocabulary_size", "16000"],
        ),
        (filters(found={"duplicates": 3000}, left_out={"duplicates": 3000}, kept=17_000), []),
        ({"overlaps": CASES[1][0]["overlaps"]} | filters(left_out={"overlap": 0}), []),
        ({}, ["--training.init_from", "run", "--model.hidden_size", "2048"]),
        (filters(kept=4_000_000), ["--model.hidden_size", "2048"]),
    ],
)
def test_what_is_meant_or_taken_care_of_is_not_said(
    tmp_path: Any, changes: dict[str, Any], words: list[str]
) -> None:
    if "facts" in changes:  # more pairs than the default, all kept
        changes["facts"] = dataclasses.replace(
            changes["facts"], pairs=max(20_000, changes["facts"].kept)
        )
    assert advice(dataclasses.replace(WELL, **changes), config(tmp_path, *words)) == []


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_the_shipped_configs_have_usual_sizes(path: Path) -> None:
    """Their comments give the number of pairs; these are the sizes that the page suggests."""
    pairs = {"multi30k": 29_000, "quickstart": 24_000, "iwslt": 133_000, "opus100": 1_000_000}
    count = next((n for name, n in pairs.items() if name in path.name), 4_500_000)
    given = load_config(path)
    vocabulary, hidden = usual_sizes(count)
    assert vocabulary / 2 <= given.tokenizer.vocabulary_size <= 2 * vocabulary
    assert hidden / 2 <= given.model.hidden_size <= 2 * hidden


def test_splits_that_share_only_target_sentences_are_listed() -> None:
    """Short answers are translations of many questions."""
    for overlap, kind in (((0, 0, 7), Table), ((0, 0, 0), Paragraph)):
        shared = [Overlap("test", "train", 1000, *overlap)]
        report = check_report("config.yaml", dataclasses.replace(WELL, overlaps=shared))
        (block,) = next(s for s in report.sections if s.title == "Sentences in two splits").blocks
        assert isinstance(block, kind)
        if isinstance(block, Table):
            assert list(block.rows[0]) == ["test in train", "1,000", "0", "0", "7"]
