import dataclasses
from pathlib import Path

import pytest
import yaml

from nmt.config import (
    ColumnsConfig,
    Config,
    changed_keys,
    config_parser,
    dump_config,
    load_config,
    parse_config,
)
from nmt.errors import ConfigError
from tests.conftest import ROOT

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


def test_every_key_is_explained() -> None:
    help_text = config_parser().format_help()
    for section in dataclasses.fields(Config):
        if dataclasses.is_dataclass(section.default):
            for field in dataclasses.fields(section.default):
                _, _, after = help_text.partition(f"\n  --{section.name}.{field.name}")
                explanation = after.split("(type:")[0].split("(required")[0]
                assert len(explanation.split()) > 4, f"{section.name}.{field.name}"


def test_overrides_reach_into_what_the_file_has() -> None:
    text = MINIMAL.replace("}", ", splits: {train: a, test: b}, columns: {source: 1, target: 3}}")
    words = ["--data.splits.test", "null", "--data.splits.more", "{cut: 5}"]
    words += ["--data.columns.source", "2", "--data.cache", "", "--model.tie_embeddings=false"]
    config = parse_config(text, words)
    assert config.data.splits == {"train": "a", "test": None, "more": {"cut": 5}}
    assert (config.data.columns, config.data.cache) == (ColumnsConfig(2, 3), "")
    assert config.model.tie_embeddings is False
    assert parse_config(text, ["--data.columns", "null"]).data.columns is None
    assert parse_config(text, ["--data.splits", "{test: c}"]).data.splits == {"test": "c"}
    assert parse_config(text, ["--data.splits.test", "12"]).data.splits["test"] == "12"  # type: ignore[index]
    assert parse_config(dump_config(config)) == config


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


def test_dumped_config_reads_back_and_the_portable_one_holds_no_path() -> None:
    words = ["--tokenizer.path", "/a/b", "--training.init_from", "/c", "--data.cache", "/d"]
    words += ["--data.distill.teacher", "[/g, h]", "--data.distill.references", "0.5"]
    words += [
        "--data.splits",
        "{train: [/e, {place: f, weight: 2.5}], test: [x, y], validation: {cut: 5}}",
    ]
    words += ["--data.columns", "{source: s, target: t}"]
    config = parse_config(MINIMAL, words)
    assert parse_config(dump_config(config)) == config
    assert "/" not in dump_config(config, portable=True)
    assert parse_config(dump_config(config, portable=True)).data.distill == Config().data.distill


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
            "command line: model.layers: Expected a int. Got value: two",
        ),
        ("model: {layers: 2.5}", [], "c.yaml: model.layers: Expected a int. Got value: 2.5"),
        ("", ["--model.cell", "gruu"], "'lstm', 'gru', 'tanh', 'relu']. Got value: gruu"),
        ("model: 3", [], "c.yaml: model is a section of keys, not 3"),
        ("model: [", [], "c.yaml: not valid YAML"),
        ("model: {layers: 1, layers: 2}", [], "the key 'layers' stands twice"),
        ("data: {splits: {1: a}}", [], "data.splits.1: a key is text"),
        (MINIMAL, ["--seed", "-1"], "c.yaml or the command line: seed: -1 makes no sense"),
        (MINIMAL + "seed: 08", [], "c.yaml: seed: Expected a int"),
        (MINIMAL, ["--tokenizer.vocabulary_size", "4"], "the special tokens alone are 4"),
        ("[]", [], "c.yaml: a config is a mapping of sections, not []"),
        ("", [], "data.source_language: '' makes no sense: give a language tag"),
        (MINIMAL, ["--data.source_language", "../x"], "data.source_language: '../x'"),
        (MINIMAL, ["--data.target_language", "de"], "data.target_language: 'de'"),
        (MINIMAL, ["--data.corpus", "nowhere"], "data.corpus: 'nowhere'"),
        (MINIMAL, ["--data.splits", "bad"], "command line: data.splits: expected one of"),
        (MINIMAL, ["--data.splits", "{test: x"], "command line: data.splits: not valid YAML"),
        (MINIMAL, ["--model.layers"], "command line: --model.layers: give --KEY VALUE"),
        (MINIMAL, ["--seed", "--model.layers", "2"], "command line: --seed: give --KEY VALUE"),
        (MINIMAL, ["model.layers", "2"], "command line: model.layers: give --KEY VALUE"),
        (MINIMAL, ["--model.celll", "gru"], "unknown key model.celll; did you mean model.cell"),
        (MINIMAL, ["--data.columns", "{source: a, target: a}"], "data.columns.target: 'a'"),
        (MINIMAL, ["--data.columns", "{source: 0, target: 1}"], "data.columns.source: 0"),
        (MINIMAL, ["--data.columns", "{source: 1, target: a}"], "data.columns.target: 'a'"),
        (MINIMAL, ["--data.splits", "{a/b: x}"], "data.splits: 'a/b'"),
        (MINIMAL, ["--model.layers", "0"], "model.layers: 0 makes no sense: it must be > 0"),
        (MINIMAL, ["--model.dropout", "1"], "model.dropout: 1.0"),
        (
            MINIMAL,
            ["--model.cell", "gru", "--model.forget_bias", "0"],
            "model.forget_bias: 0.0 makes no sense: a gru cell has no forget gate",
        ),
        (MINIMAL, ["--model.forget_bias", ".inf"], "model.forget_bias: inf makes no sense"),
        (MINIMAL, ["--model.hidden_size", "7"], "two directions need an even number"),
        (MINIMAL, ["--training.batch_tokens", "100"], "training.batch_tokens: 100"),
        (MINIMAL, ["--training.max_updates", "50"], "training.warmup_updates: 200"),
        (MINIMAL, ["--data.max_length", "0"], "data.max_length: 0 makes no sense"),
        (
            MINIMAL,
            ["--training.threads", "0"],
            "training.threads: 0 makes no sense",
        ),
        (MINIMAL, ["--tokenizer.max_pairs", "0"], "tokenizer.max_pairs: 0 makes no sense"),
        (MINIMAL, ["--data.filters.script", "0"], "data.filters.script: 0.0 makes no sense"),
        (MINIMAL, ["--data.filters.script", "1.1"], "it is a share, from 0.01 to 1"),
        (MINIMAL, ["--data.filters.length_ratio", "0.5"], "the longer side is at least 1 × the"),
        (MINIMAL, ["--data.filters.lenght_ratio", "3"], "unknown key data.filters.lenght_ratio"),
        ("data: {filters: {script: yes}}", [], "data.filters.script: expected one of [float"),
        (
            MINIMAL,
            ["--data.distill.n_best", "2"],
            "data.distill.n_best: 2 makes no sense: there is",
        ),
        (
            MINIMAL,
            ["--data.distill.teacher", "[]"],
            "data.distill.teacher: [] makes no sense: name",
        ),
        (
            MINIMAL,
            ["--data.distill.teacher", "[a, '']"],
            "data.distill.teacher: ['a', ''] makes no",
        ),
        (MINIMAL, [*TAUGHT, "--data.distill.references", "-1"], "data.distill.references: -1.0"),
        (
            MINIMAL,
            [*TAUGHT, "--data.distill.references", "1e4"],
            "it must be at least 0 and at most",
        ),
        (MINIMAL, [*TAUGHT, "--data.distill.references", ".nan"], "data.distill.references: "),
        (MINIMAL, [*TAUGHT, "--data.distill.n_best", "0"], "data.distill.n_best: 0 makes no sense"),
        (MINIMAL, [*TAUGHT, "--data.distill.beam_size", "0"], "data.distill.beam_size: 0 makes no"),
        (
            MINIMAL,
            [*TAUGHT, "--data.distill.beam_size", "2", "--data.distill.n_best", "3"],
            "data.distill.beam_size: 2 makes no sense: data.distill.n_best 3 needs a beam of as",
        ),
        (MINIMAL, [*TAUGHT, "--data.distill.techer", "b"], "unknown key data.distill.techer"),
        (MINIMAL, ["--training.clip_norm", "-1"], "training.clip_norm: -1.0"),
        (MINIMAL, ["--training.ema", "0"], "training.ema: 0.0 makes no sense: use a share such as"),
        (MINIMAL, ["--training.ema", "1"], "training.ema: 1.0 makes no sense"),
        (MINIMAL, ["--training.keep_checkpoints", "0"], "training.keep_checkpoints: 0 makes no"),
        (
            MINIMAL,
            ["--training.schedule", "inverse_sqrt", "--training.warmup_updates", "0"],
            "training.warmup_updates: 0",
        ),
        (
            MINIMAL,
            ["--tokenizer.model", "word", "--tokenizer.byte_fallback", "true"],
            "tokenizer.byte_fallback: True",
        ),
        *(
            (
                MINIMAL,
                ["--training.subword_sampling", value, "--tokenizer.model", kind],
                f"training.subword_sampling: {value} makes no sense: {why}",
            )
            for kind, value, why in [
                ("unigram", "0.0", "with a unigram tokenizer it must be > 0"),
                ("unigram", "-0.1", "with a unigram tokenizer it must be > 0, and finite"),
                ("bpe", "0.0", "with a bpe tokenizer it is a probability, above 0 and below 1"),
                ("bpe", "1.0", "with a bpe tokenizer it is a probability, above 0 and below 1"),
                ("char", "0.1", "a char tokenizer knows one segmentation of a word; use unigram"),
                ("word", "0.1", "a word tokenizer knows one segmentation of a word; use unigram"),
            ]
        ),
        (MINIMAL, ["--tokenizer.character_coverage", "0.5"], "tokenizer.character_coverage: 0.5"),
        (MINIMAL, ["--model.encoder", "bags"], "model.encoder"),
        *(
            (MINIMAL, ["--model.encoder", kind, f"--model.{key}", value], f"model.{key}: {told}")
            for kind, key, value, told in [
                ("bag", "reverse_source", "true", "True makes no sense: only model.encoder rnn"),
                ("window", "reverse_source", "true", "True makes no sense: only model.encoder rnn"),
                ("window", "attention", "dot", "'dot' makes no sense: a window has no states"),
                ("window", "pool", "mean", "'mean' makes no sense: a window has no states"),
                ("window", "window", "0", "0 makes no sense: it must be > 0"),
                ("bag", "window", "2", "2 makes no sense: only model.encoder window has one, not"),
                ("rnn", "window", "2", "2 makes no sense: only model.encoder window has one, not"),
                ("rnn", "hidden_size", "31", "31 makes no sense: two directions need"),
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
    ],
)
def test_a_file_that_is_no_config_is_refused_in_a_short_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.de").write_text(text)
    with pytest.raises(ConfigError, match=r"train\.de: ") as error:
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
