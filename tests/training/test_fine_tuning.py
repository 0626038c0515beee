"""What a config says beside `training.init_from` counts, whatever the default."""

import dataclasses
import shutil
from pathlib import Path

import pytest

import nmt as package
from nmt.config import Config, ModelConfig
from nmt.errors import ConfigError, UsageError
from nmt.training.data_module import TranslationData
from nmt.training.fine_tuning import adopt_network, load_training_config
from tests.conftest import Command
from tests.training.made import with_model


def written(tiny_config: Path, tmp_path: Path, model: str) -> Path:
    """A config that starts from a model and has some keys of the network."""
    path = tmp_path / "further.yaml"
    text = tiny_config.read_text().split("tokenizer:")[0]
    training = "training: {max_updates: 2, warmup_updates: 0, batch_tokens: 256, validate_every: 1}"
    path.write_text(f"{text}model: {model}\n{training}\n")
    return path


def test_a_key_with_its_default_value_counts_as_written(
    tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    words = ["--training.init_from", str(tiny_run)]
    path = written(tiny_config, tmp_path, "{hidden_size: 512}")
    assert Config().model.hidden_size == 512
    with pytest.raises(ConfigError, match=r"model\.hidden_size: 512 does not fit .* has 32"):
        load_training_config(path, words)
    with pytest.raises(ConfigError, match=r"tokenizer\.vocabulary_size: 8000 .* has 300"):
        load_training_config(
            written(tiny_config, tmp_path, "{}"),
            [
                *words,
                "--tokenizer.vocabulary_size",
                "8000",
            ],
        )


def test_written_noise_wins_and_all_else_comes_from_the_base(
    nmt: Command, tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    words = ["--training.init_from", str(tiny_run), "--model.target_word_dropout", "0.1"]
    trained = nmt(
        "train",
        tiny_config,
        "--run",
        tmp_path / "base",
        "--model.dropout",
        "0.5",
        "--training.max_updates",
        "6",
        "--training.warmup_updates",
        "0",
    )
    assert trained.code == 0
    words[1] = str(tmp_path / "base")
    path = written(tiny_config, tmp_path, "{dropout: 0.2}")
    config = load_training_config(path, words)
    assert Config().model.dropout == config.model.dropout == 0.2
    assert (config.model.hidden_size, config.model.target_word_dropout) == (32, 0.1)
    assert config.tokenizer.vocabulary_size == 300
    assert TranslationData(config).config == config
    assert package.load_config(path, {"training.init_from": words[1]}).model.hidden_size == 32
    assert load_training_config(written(tiny_config, tmp_path, "{}"), words).model.dropout == 0.5


def test_written_noise_counts_in_a_network_of_defaults() -> None:
    """A base that differs by its dropout alone does not replace what is written."""
    noisy = dataclasses.replace(Config(), model=ModelConfig(dropout=0.5))
    assert adopt_network(Config(), noisy) == Config()
    narrow = dataclasses.replace(Config(), model=ModelConfig(dropout=0.5, hidden_size=32))
    assert adopt_network(Config(), narrow) == narrow


def test_what_is_checked_is_the_whole_network(
    tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    path = written(tiny_config, tmp_path, "{}")
    words = ["--training.init_from", str(tiny_run), "--decoding.coverage_penalty", "0.5"]
    with pytest.raises(UsageError, match=r"decoding\.coverage_penalty: 0\.5"):
        TranslationData(load_training_config(path, words))


def test_sections_made_in_python_follow_the_base_or_agree(
    tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    path = written(tiny_config, tmp_path, "{}")
    config = load_training_config(path, ["--training.init_from", str(tiny_run)])
    assert TranslationData(with_model(config, dropout=0.4)).config.model.dropout == 0.4
    with pytest.raises(ConfigError, match=r"model\.layers: 3 does not fit"):
        TranslationData(with_model(config, layers=3))


@pytest.mark.slow
def test_resuming_a_fine_tuned_model_is_verified(
    nmt: Command, tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    path = written(tiny_config, tmp_path, "{}")
    done = nmt("train", path, "--verify-resume", "--training.init_from", tiny_run)
    assert done.code == 0 and "resume verified" in done.err, done.err


def test_a_run_goes_on_when_its_base_is_gone(
    nmt: Command, tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_run / "model", tmp_path / "base"))
    path = written(tiny_config, tmp_path, "{dropout: 0.3}")
    words = [path, "--run", tmp_path / "run", "--training.init_from", base]
    assert nmt("train", *words).code == 0
    shutil.rmtree(base)
    assert nmt("train", *words, "--resume").code == 0
    other = nmt("train", *words, "--resume", "--model.hidden_size", "512")
    assert other.code == 2 and "model.hidden_size" in other.err
