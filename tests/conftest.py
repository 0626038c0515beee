"""What several test rooms share: a small trained model, and the command line in-process."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from nmt.bundle import Bundle, build_model, load_bundle, save_bundle
from nmt.cli.main import main
from nmt.config import Config, DataConfig, DecodingConfig, ModelConfig
from nmt.data.phrases import read_split
from nmt.inference.device import cpu_has_bf16
from nmt.models.weights import StoredPrecision
from nmt.text.tokenizer import Tokenizer

torch.set_num_threads(1)  # the tensors of tests are too small to share

ROOT = Path(__file__).parent.parent

needs_bf16 = pytest.mark.skipif(not cpu_has_bf16(), reason="this processor lacks bf16")


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def nmt(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    """Run `nmt WORDS…` in this process."""

    def run(*words: object) -> Result:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return Result(code, out.decode("utf-8"), err.decode("utf-8"))

    return run


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep encoded corpora of tests out of the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


def take_signals() -> None:
    """Let a new process take Ctrl-C, which a shell's background jobs ignore; for `preexec_fn`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def write_pairs(prefix: Path, pairs: list[tuple[str, str]]) -> None:
    """Write sentence pairs as PREFIX.de and PREFIX.en."""
    for side, language in enumerate(("de", "en")):
        text = "".join(f"{pair[side]}\n" for pair in pairs)
        Path(f"{prefix}.{language}").write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train, val and test in German and English."""
    folder = tmp_path_factory.mktemp("corpus")
    write_pairs(folder / "train", read_split("train")[:400])
    write_pairs(folder / "val", read_split("validation")[:20])
    write_pairs(folder / "test", read_split("test")[:20])
    return folder


@pytest.fixture(scope="session")
def tiny_config(corpus_folder: Path) -> Path:
    """A config that trains a very small model in seconds."""
    path = corpus_folder / "tiny.yaml"
    path.write_text(
        f"""
data:
  source_language: de
  target_language: en
  splits:
    train: {corpus_folder}/train
    validation: {corpus_folder}/val
    test: {corpus_folder}/test
tokenizer: {{vocabulary_size: 300}}
model: {{layers: 1, embedding_size: 16, hidden_size: 32, dropout: 0.2}}
training:
  max_updates: 30
  warmup_updates: 5
  batch_tokens: 256
  learning_rate: 0.01
  validate_every: 10
  log_every: 5
decoding: {{beam_size: 3}}
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_config: Path) -> Path:
    """The folder of a finished run of `tiny_config`. Do not change it."""
    run = tiny_config.parent / "run"
    with pytest.raises(SystemExit) as stop:
        main(["train", str(tiny_config), "--run", str(run)])
    assert stop.value.code == 0
    return run


MEMBER = Config(
    data=DataConfig(source_language="de", target_language="en"),
    model=ModelConfig(cell="gru", attention="dot", layers=2, embedding_size=12, hidden_size=20),
    decoding=DecodingConfig(beam_size=7),
)


def save_member(
    run: Path,
    folder: Path,
    precision: StoredPrecision = "fp32",
    config: Config = MEMBER,
    tokenizer: Tokenizer | None = None,
) -> Path:
    """Save an untrained model of another kind, with a run's tokenizer if no other is given."""
    torch.manual_seed(4)
    tokenizer = tokenizer or load_bundle(run).tokenizer
    model = build_model(config, tokenizer)
    save_bundle(folder, Bundle(model, tokenizer, config, {}, precision))
    return folder


@pytest.fixture(scope="session")
def multi30k() -> Path:
    """The folder of the Multi30k files; tests that need it are skipped without."""
    folder = os.environ.get("NMT_MULTI30K")
    if not folder:
        pytest.skip("NMT_MULTI30K names no folder")
    return Path(folder)
