import dataclasses
import math
import types
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import nmt
from nmt.config import (
    ColumnsConfig,
    Config,
    changed_keys,
    dump_config,
    load_config,
    parse_config,
)
from nmt.config.values import Range, Word, field_types, read_value
from nmt.errors import ConfigError
from tests.conftest import ROOT, Command

MINIMAL = "data: {source_language: de, target_language: en, corpus: builtin:phrases}\n"
TAUGHT = ["--data.distill.teacher", "runs/teacher"]


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_configs_hold_only_what_differs_from_the_defaults(path: Path) -> None:
    load_config(path)
    defaults = dataclasses.asdict(Config())
    for section, keys in yaml.safe_load(path.read_text()).items():
        for key, value in keys.items() if isinstance(keys, dict) else []:
            assert value != defaults[section][key], f"{section}.{key} is the default"


def test_every_key_of_the_design_is_there() -> None:
    keys = {
        "data": "source_language target_language corpus splits columns max_length filters",
        "tokenizer": "model vocabulary_size shared byte_fallback normalization path",
        "model": "cell layers embedding_size hidden_size bidirectional reverse_source feed_context "
        "attention dropout tie_embeddings",
        "training": "max_updates max_epochs batch_tokens accumulate learning_rate schedule "
        "warmup_updates label_smoothing clip_norm validate_every monitor patience precision "
        "device init_from",
        "decoding": "beam_size length_penalty max_length_ratio",
    }
    config = dataclasses.asdict(Config())
    for section, names in keys.items():
        assert set(names.split()) <= set(config[section])


def keys_of(kind: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its type, but those in a dictionary."""
    for name, hint in field_types(kind).items():
        if dataclasses.is_dataclass(hint):
            yield from keys_of(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            yield f"{prefix}{name}", hint


KEYS = dict(keys_of(Config))


def test_every_key_is_explained(nmt: Command) -> None:
    words = nmt("train", "--help").out.split()
    for key in KEYS:
        after = " ".join(words[words.index(f"--{key}", words.index("CONFIG")) + 2 :])
        explanation, _, _ = after.partition("default: ")
        assert len(explanation.split()) > 4, key


def plain_types(hint: Any) -> set[Any]:
    """The plain types, literal words and None that a type hint allows."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return plain_types(parts[0])
    if origin in (types.UnionType, typing.Union):
        return set().union(*map(plain_types, parts))
    return (
        set(parts) if origin is typing.Literal else {dict if is_dataclass(hint) else origin or hint}
    )


def ranges(hint: Any) -> Iterator[tuple[type, Range]]:
    """The numbers that a type hint allows."""
    if typing.get_origin(hint) is typing.Annotated and typing.get_args(hint)[0] is not str:
        yield typing.get_args(hint)
    elif typing.get_origin(hint) in (types.UnionType, typing.Union):
        for part in typing.get_args(hint):
            yield from ranges(part)


HUGE = [10**18, -(10**18), 10**400, 1e300, -1e300, math.inf, -math.inf, math.nan]
TEXTS = ["", "a\0b", "x" * 5000, "\ud800"]
NESTED = [[[]], [None], ["a\0b"], {"x": 3.5}, {"a\0b": "x"}, {1: 2}, {"x" * 5000: 1}]


def wrong_values(key: str) -> Iterator[object]:
    """Values that a key must refuse, by its type alone and by its range."""
    allowed = plain_types(KEYS[key])
    endless = key == "decoding.prune"
    yield from (value for value in HUGE if not (endless and value > 0))
    yield from [*TEXTS, *NESTED]
    yield from ([] if types.NoneType in allowed else [None])
    yield from ([] if bool in allowed else [True])
    yield from ([] if str in allowed else ["auto-", "7.5.1"])
    yield from ([] if float in allowed else [2.5])
    yield from ([] if allowed & {int, float} else [3])
    yield from ([] if list in allowed else [[1]])
    for kind, limits in ranges(KEYS[key]):
        step = 1 if kind is int else 1e-6
        yield limits.low if limits.above else limits.low - step
        if limits.high < math.inf:
            yield limits.high if limits.below else limits.high + step


@pytest.mark.parametrize("key", KEYS)
def test_each_key_refuses_what_is_wrong_in_every_way(key: str) -> None:
    """In a file and, where it has a word for the value, on the command line."""
    for value in wrong_values(key):
        nested: object = value
        for name in reversed(key.split(".")):
            nested = {name: nested}
        with pytest.raises(ConfigError) as error:
            parse_config(yaml.safe_dump(nested), origin="c.yaml")
        assert key in str(error.value) and len(str(error.value)) < 1000, value
        assert "class" not in str(error.value) and "\n" not in str(error.value)
        if value is None or isinstance(
            value, str if str in plain_types(KEYS[key]) else str | float
        ):
            word = "null" if value is None else str(value).lower()
            with pytest.raises(ConfigError) as error:
                parse_config(MINIMAL, [f"--{key}={word}"])
            assert key in str(error.value) and len(str(error.value)) < 1000, value


@pytest.mark.parametrize("key", KEYS)
def test_each_number_has_a_range_and_takes_its_ends(key: str) -> None:
    numbers = list(ranges(KEYS[key]))
    assert bool(numbers) == bool(plain_types(KEYS[key]) & {int, float})
    for kind, limits in numbers:
        assert limits.high < 2**32 or key in ("seed", "decoding.prune")
        ends = [] if limits.above else [limits.low]
        for value in [*ends, *([] if limits.below else [limits.high])]:
            if math.isfinite(value):
                assert read_value(KEYS[key], kind(value), key) == value
                assert read_value(KEYS[key], Word(kind(value)), key) == value


def test_overrides_reach_into_what_the_file_has() -> None:
    text = MINIMAL.replace("}", ", splits: {train: a, test: b}, columns: {source: 1, target: 3}}")
    words = ["--data.splits.test", "null", "--data.splits.more", "{cut: 5}"]
    words += ["--data.columns.source", "2", "--data.cache", "c", "--model.tie_embeddings=false"]
    config = parse_config(text, words)
    assert config.data.splits == {"train": "a", "test": None, "more": {"cut": 5}}
    assert (config.data.columns, config.data.cache) == (ColumnsConfig(2, 3), "c")
    assert config.model.tie_embeddings is False
    assert parse_config(text, ["--data.columns", "null"]).data.columns is None
    assert parse_config(text, ["--data.splits", "{test: c}"]).data.splits == {"test": "c"}
    assert parse_config(text, ["--data.splits.test", "12"]).data.splits["test"] == "12"  # type: ignore[index]
    assert parse_config(dump_config(config)) == config


def test_overrides_in_python_are_values_of_any_kind(tiny_config: Path) -> None:
    values = {
        "data.cache": Path("a"),
        "model.layers": np.int64(3),
        "seed": 7,
        "model.dropout": 1e-5,
    }
    values |= {
        "model.tie_embeddings": True,
        "data.splits": {"train": Path("b")},
        "tokenizer.path": None,
    }
    config = nmt.load_config(tiny_config, values)
    assert (config.data.cache, config.model.layers, config.seed) == ("a", 3, 7)
    assert (config.model.dropout, config.model.tie_embeddings) == (1e-5, True)
    assert config.data.splits == {"train": "b"} and config.tokenizer.path is None


def test_text_in_python_stays_text(tiny_config: Path) -> None:
    names = ["[old]/model", "{x}", "null", "--x", "12"]
    for name in names:
        config = nmt.load_config(tiny_config, {"data.cache": name, "data.splits.test": (name,)})
        assert config.data.cache == name and config.data.splits["test"] == [name]  # type: ignore[index]
    columns = {"data.columns.source": "1", "data.columns.target": "2"}
    found = nmt.load_config(tiny_config, columns).data.columns
    assert found is not None and (found.source, found.target) == ("1", "2")
    with pytest.raises(ConfigError, match=r"^overrides: model\.layers: '3' must be a whole number"):
        nmt.load_config(tiny_config, {"model.layers": "3"})


def test_overrides_win_over_the_file() -> None:
    words = ["--model.cell", "gru", "--seed=7", "--data.splits.extra", "other"]
    config = parse_config(MINIMAL + "model: {cell: tanh, layers: 3}", words)
    assert (config.model.cell, config.model.layers, config.seed) == ("gru", 3, 7)
    assert config.data.splits == {"extra": "other"}


def test_scalars_follow_yaml_1_2() -> None:
    text = "data: {source_language: no, target_language: en, corpus: builtin:phrases}"
    config = parse_config(text + "\ntraining: {learning_rate: 1e-3}", ["--decoding.beam_size", "4"])
    assert config.data.source_language == "no"  # Norwegian, not false
    assert config.training.learning_rate == 0.001
    assert parse_config(dump_config(config)) == config


def test_dumped_config_reads_back_and_the_portable_one_holds_no_path(tmp_path: Path) -> None:
    words = ["--tokenizer.path", "/a/b", "--training.init_from", "/c", "--data.cache", "/d"]
    words += ["--data.distill.teacher", "[/g, h]", "--data.distill.references", "0.5"]
    words += [
        "--data.splits",
        "{train: [/e, {place: f, weight: 2.5}], test: [x, y], validation: {cut: 5}}",
    ]
    words += ["--data.columns", "{source: s, target: t}", "--data.corpus", f"hub:{tmp_path}#all"]
    config = parse_config(MINIMAL, words)
    assert parse_config(dump_config(config)) == config
    assert "/" not in dump_config(config, portable=True)
    words = ["--data.corpus", "hub:wmt/wmt14#de-en", "--data.splits", "{test: {cut: 9}}"]
    public = parse_config(MINIMAL, words)  # names of splits are no places of this machine
    assert parse_config(dump_config(public, portable=True)) == public
    assert parse_config(dump_config(config, portable=True)).data.distill == Config().data.distill


@pytest.mark.parametrize("name", ["08", "1e5", "12", "no", "null", "0x1F", "~", "1.5", ".inf"])
def test_text_that_looks_like_a_number_is_dumped_as_text(name: str) -> None:
    config = parse_config(MINIMAL + f"\ntokenizer: {{path: '{name}'}}")
    assert config.tokenizer.path == name
    assert parse_config(dump_config(config)) == config


def test_changed_keys_are_named_by_path() -> None:
    old = parse_config(MINIMAL)
    new = parse_config(MINIMAL, ["--model.layers", "3", "--data.splits.train", "x"])
    assert changed_keys(old, new) == ["data.splits.train", "model.layers"]
    assert changed_keys(old, old) == []
    new = parse_config(MINIMAL, TAUGHT)
    assert changed_keys(old, new) == ["data.distill.teacher"]
    new = parse_config(MINIMAL, ["--data.filters.overlap", "true"])
    assert changed_keys(old, new) == ["data.filters.overlap"]


@pytest.mark.parametrize(
    ("text", "words", "told"),
    [
        ("model: {layerss: 2}", [], "c.yaml: unknown key model.layerss; did you mean model.layers"),
        ("data: {columns: {sourc: a, target: b}}", [], "unknown key data.columns.sourc"),
        ("foo: 1", [], "c.yaml: unknown key foo; known: data, tokenizer"),
        ("", ["--model.cel", "gru"], "command line: unknown key model.cel"),
        (
            "",
            ["--model.layers", "two"],
            "command line: model.layers: two must be a whole number from 1 to 64",
        ),
        ("model: {layers: 2.5}", [], "c.yaml: model.layers: 2.5 must be a whole number from 1"),
        (
            "",
            ["--model.cell", "gruu"],
            "model.cell: gruu must be lstm, gru, tanh or relu",
        ),
        ("model: 3", [], "c.yaml: model: 3 must be a mapping of keys"),
        ("model: [", [], "c.yaml: not valid YAML"),
        ("model: {layers: 1, layers: 2}", [], "the key 'layers' occurs twice"),
        ("data: {splits: {1: a}}", [], "data.splits: 1 must be a split's name"),
        (MINIMAL, ["--seed", "-1"], "command line: seed: -1 must be a whole number from 0"),
        (MINIMAL + "seed: 08", [], "c.yaml: seed: 8.0 must be a whole number"),
        ("[]", [], "c.yaml: a config is a mapping of sections, not []"),
        ("", [], "data.source_language: '' is refused: give a language tag"),
        (
            MINIMAL,
            ["--data.source_language", "../x"],
            "data.source_language: ../x must be a language tag",
        ),
        (
            "data: {source_language: German, target_language: en}",
            [],
            "data.source_language: 'German' must be a language tag such as de or pt_BR; did you "
            "mean de?",
        ),
        (MINIMAL, ["--data.target_language", "brazil"], "such as de or pt_BR"),
        (MINIMAL, ["--data.target_language", "de"], "data.target_language: 'de' is refused"),
        (MINIMAL, ["--data.corpus", "nowhere"], "data.corpus: nowhere must be files, builtin:NAME"),
        (
            MINIMAL,
            ["--data.splits", "bad"],
            "command line: data.splits: bad must be a mapping or null",
        ),
        (MINIMAL, ["--data.splits", "{test: x"], "command line: data.splits: not valid YAML"),
        (MINIMAL, ["--model.layers"], "command line: --model.layers: give --KEY VALUE"),
        (MINIMAL, ["--seed", "--model.layers", "2"], "command line: --seed: give --KEY VALUE"),
        (MINIMAL, ["model.layers", "2"], "command line: model.layers: give --KEY VALUE"),
        (MINIMAL, ["--data.columns", "{source: a, target: a}"], "data.columns.target: 'a'"),
        (MINIMAL, ["--data.columns", "{source: 0, target: 1}"], "data.columns.source: 0"),
        (MINIMAL, ["--data.columns", "{source: 1, target: a}"], "data.columns.target: 'a'"),
        (MINIMAL, ["--data.splits", "{a/b: x}"], "data.splits: 'a/b' must be"),
        (
            MINIMAL,
            ["--model.dropout", "1"],
            "model.dropout: 1 must be a number at least 0 and below 1",
        ),
        (MINIMAL, ["--model.hidden_size", "7"], "two directions need an even number"),
        (MINIMAL, ["--training.batch_tokens", "100"], "training.batch_tokens: 100"),
        (MINIMAL, ["--training.max_updates", "50"], "training.warmup_updates: 200"),
        (
            "data: {filters: {script: yes}}",
            [],
            "data.filters.script: 'yes' must be a number from 0.01 to 1 or null",
        ),
        (
            MINIMAL,
            ["--data.distill.n_best", "2"],
            "data.distill.n_best: 2 is refused: it needs data.distill.teacher",
        ),
        (
            MINIMAL,
            ["--data.distill.teacher", "[]"],
            "data.distill.teacher: [] is refused: name",
        ),
        (
            MINIMAL,
            ["--data.distill.teacher", "[a, '']"],
            "data.distill.teacher[1]: '' must be text",
        ),
        (
            MINIMAL,
            [*TAUGHT, "--data.distill.references", "1e4"],
            "data.distill.references: 1e4 must be a number from 0 to 1,000",
        ),
        (
            MINIMAL,
            [*TAUGHT, "--data.distill.beam_size", "2", "--data.distill.n_best", "3"],
            "data.distill.beam_size: 2 is refused: data.distill.n_best 3 needs a beam of as",
        ),
        (
            MINIMAL,
            ["--training.schedule", "inverse_sqrt", "--training.warmup_updates", "0"],
            "training.warmup_updates: 0",
        ),
        (
            MINIMAL,
            ["--training.r_drop", "1", "--model.dropout", "0"],
            "training.r_drop: 1.0 is refused: its two passes are equal without dropout",
        ),
        (
            MINIMAL,
            ["--tokenizer.model", "word", "--tokenizer.byte_fallback", "true"],
            "tokenizer.byte_fallback: True is refused",
        ),
        *(
            (
                MINIMAL,
                ["--model.encoder", kind, f"--model.{key}", value],
                f"model.{key}: {told.format(kind=kind)}",
            )
            for kind, key, value, told in [
                ("bag", "reverse_source", "true", "True is refused: only model.encoder rnn"),
                ("window", "reverse_source", "true", "True is refused: only model.encoder rnn"),
                ("window", "attention", "dot", "'dot' is refused: a window has no states"),
                ("window", "pool", "mean", "'mean' is refused: a window has no states"),
                ("bag", "window", "2", "2 is refused: model.encoder {kind} has no window"),
                ("rnn", "window", "2", "2 is refused: model.encoder {kind} has no window"),
                ("rnn", "hidden_size", "31", "31 is refused: two directions need"),
            ]
        ),
    ],
)
def test_senseless_configs_are_refused_in_one_line(text: str, words: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(text or "{}", words, "c.yaml")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["bag", "window"])
def test_encoders_without_recurrence_need_no_other_key(kind: str) -> None:
    config = parse_config(MINIMAL, ["--model.encoder", kind, "--model.hidden_size", "31"])
    assert config.model.bidirectional and config.model.window == 7
    assert parse_config(dump_config(config)) == config


@pytest.mark.parametrize(
    "text",
    [
        "ein Satz\n" * 5000,
        "- ein Satz\n" * 5000,
        '"' + "x" * 50_000 + '": 1',
        "{" + "x" * 50_000 + ": [",
        "data: " + "x" * 50_000,
        "seed: " + "x" * 50_000,
        "data: {source_language: " + "x" * 50_000 + "}",
        "data: {splits: " + "x" * 50_000 + "}",
        "data: {splits: {? [" + "x, " * 20_000 + "] : 1}}",
        "data: &a [x]\nmodel: *a",
        "\n".join(
            f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9 if n else 'x')}]" for n in range(30)
        ),
        "data: " + "[" * 50_000,
        "seed: " + "9" * 5000,
        "x" * 2**21,
        *(
            f"seed: {tag} x"
            for tag in ("!!int", "!!float", "!!bool", "!!timestamp", "!!python/name:os")
        ),
        "model: {feed_context: }",
        "data: {splits: {" + ", ".join(f"s {n}: x" for n in range(20_000)) + "}}",
    ],
)
def test_a_file_that_is_no_config_is_refused_in_a_short_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.de").write_text(text)
    with pytest.raises(ConfigError, match=r"train\.de") as error:
        load_config(tmp_path / "train.de")
    assert len(str(error.value)) < 1000 + len(str(tmp_path)) and "\n" not in str(error.value)


def test_a_config_of_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(MINIMAL, encoding="utf-8-sig")
    assert load_config(path) == parse_config(MINIMAL)
    path.write_text(MINIMAL, encoding="utf-16")
    with pytest.raises(ConfigError, match=r"cannot read the config .*a.yaml: it is UTF-16, not"):
        load_config(path)


def test_a_config_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*/no.yaml: No such file"):
        load_config(tmp_path / "no.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"seed: 1 # \xe4")
    with pytest.raises(ConfigError, match=r"cannot read the config .*latin.yaml: 'utf-8' codec"):
        load_config(tmp_path / "latin.yaml")
