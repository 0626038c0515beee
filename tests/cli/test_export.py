"""`nmt export` from the command line."""

import dataclasses
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

import nmt as package
from nmt.bundle import Bundle, build_model, copy_bundle, load_bundle, save_bundle
from nmt.config import Config, DataConfig, ModelConfig, TokenizerConfig
from nmt.errors import NmtError
from nmt.models.quantization import dequantize, quantize
from nmt.models.weights import StoredPrecision
from nmt.reading import sha256
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from tests.conftest import Command
from tests.data.hub_server import HubServer
from tests.soak.damage import reseal
from tests.soak.files import fresh

SENTENCES = ["Der Hund schläft.", "Maria möchte schwimmen.", "", "Heute liest der Mann ein Buch."]


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in folder.iterdir()}


def weights_file(folder: Path) -> Path:
    return folder / "weights.safetensors"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of 256 units and 4,000 words, with weights as they start."""
    words = [f"w{number:04}" for number in range(4000)]
    settings = TokenizerConfig(model="word", vocabulary_size=4000)
    tokenizer, _ = train_tokenizer(settings, [(word, word) for word in words])
    assert len(tokenizer.source) > 3000
    return made(tmp_path_factory.mktemp("large") / "model", tokenizer, hidden_size=256)


def made(folder: Path, tokenizer: Tokenizer, **settings: object) -> Path:
    torch.manual_seed(3)
    config = Config(
        data=DataConfig(source_language="de", target_language="en"),
        model=ModelConfig(**settings),  # type: ignore[arg-type]
    )
    model = build_model(config, tokenizer)
    save_bundle(folder, Bundle(model, tokenizer, config, {"update": 7}))
    return folder


def test_int8_weights_are_below_a_third_of_the_size(
    large: Path, tmp_path: Path, nmt: Command
) -> None:
    out = tmp_path / "int8"
    result = nmt("export", large, out, "--precision", "int8")
    assert result.code == 0 and result.out == "", result.err
    sizes = [weights_file(folder).stat().st_size for folder in (large, out)]
    assert sizes[1] < 0.3 * sizes[0]
    shown = [f"{size / 2**20:.1f} MiB" for size in sizes]
    assert result.err.splitlines() == [f"{out}: weights in int8, {shown[1]}"]


def test_the_new_bundle_does_not_claim_what_was_published_of_the_old_one(
    tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    published = {"address": "hf://me/old", "license": "mit", "scores": {}}
    (tmp_path / "pushed").mkdir()
    copy_bundle(tiny_run / "model", tmp_path / "pushed", {"published": published})
    assert "nmt translate hf://me/old" in (tmp_path / "pushed" / "README.md").read_text()
    assert nmt("export", tmp_path / "pushed", tmp_path / "new", "--precision", "int8").code == 0
    card = (tmp_path / "new" / "README.md").read_text()
    assert (
        "nmt translate FOLDER" in card and "hf://me/old" not in card and "license: mit" not in card
    )


def test_an_int8_bundle_translates_as_the_rounded_model(
    tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    out = tmp_path / "int8"
    assert nmt("export", tiny_run, out, "--precision", "int8").code == 0
    source = tmp_path / "in.de"
    source.write_text("".join(f"{line}\n" for line in SENTENCES))
    result = nmt("translate", out, source, "--precision", "fp32", "--format", "tsv")
    assert result.code == 0, result.err
    bundle = load_bundle(tiny_run)
    weights = dequantize(quantize(bundle.model))
    with torch.no_grad():
        for name, parameter in bundle.model.named_parameters():
            parameter.copy_(weights[name])
    translator = package.load(str(tiny_run))
    translator.stepper = bundle.model
    expected = translator.translate(SENTENCES)
    for row, one in zip(result.out.splitlines(), expected, strict=True):
        _, _, score, text = row.split("\t")
        assert text == one.text
        assert float(score) == pytest.approx(one.n_best[0].rank_score, rel=1e-5)
    (tmp_path / "in.en").write_text("".join(f"{one.text}\n" for one in expected))
    scored = nmt("score", out, "--source", source, "--target", tmp_path / "in.en")
    assert scored.code == 0 and len(scored.out.splitlines()) == len(SENTENCES)


def test_export_keeps_all_but_the_weights_numbers(
    tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    model = hashes(tiny_run / "model")
    # As the model is, from a run and from a bundle.
    assert nmt("export", tiny_run, tmp_path / "one").code == 0
    assert nmt("export", tmp_path / "one", tmp_path / "two").code == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two") == model
    assert nmt("export", tiny_run, tmp_path / "int8", "--precision", "int8").code == 0
    rounded = hashes(tmp_path / "int8")
    changed = {name for name in model if model[name] != rounded[name]}
    assert changed == {"bundle.json", "weights.safetensors", "metrics.json", "README.md"}
    assert rounded.keys() == model.keys()
    # As the model is: int8.
    result = nmt("export", tmp_path / "int8", tmp_path / "again")
    assert hashes(tmp_path / "again") == rounded and "warning" not in result.err


def test_rounding_stays_and_that_is_said(tiny_run: Path, tmp_path: Path, nmt: Command) -> None:
    nmt("export", tiny_run, tmp_path / "int8", "--precision", "int8")
    result = nmt("export", tmp_path / "int8", tmp_path / "fp32", "--precision", "fp32")
    assert result.code == 0
    assert "nmt: warning: the weights were rounded to int8 before, and stay so" in result.err
    assert "rounded to int8 after" in (tmp_path / "fp32" / "README.md").read_text()
    back, rounded = load_bundle(tmp_path / "fp32"), load_bundle(tmp_path / "int8")
    assert (back.precision, rounded.precision) == ("fp32", "int8")
    for name, value in rounded.model.state_dict().items():
        assert torch.equal(back.model.state_dict()[name], value)
    assert json.loads((tmp_path / "fp32" / "bundle.json").read_text())["format"] == 3


CELLS = ["lstm", "gru", "tanh", "relu"]


@pytest.mark.parametrize("attention", ["none", "dot", "general", "additive"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_network_is_exported_and_translates(
    cell: str, attention: str, tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    tokenizer = load_bundle(tiny_run).tokenizer
    odd = bool(CELLS.index(cell) % 2)  # the other options by turns
    made(
        tmp_path / "model",
        tokenizer,
        cell=cell,
        attention=attention,
        bidirectional=odd != (attention in ("dot", "additive")),
        tie_embeddings=odd,
        bridge="copy" if odd else "linear",
        feed_context=not odd,
        embedding_size=8,
        hidden_size=12,
    )
    for precision in ("int8", "fp32"):
        out = tmp_path / precision
        result = nmt("export", tmp_path / "model", out, "--precision", precision)
        assert result.code == 0, result.err
        assert len(package.load(str(out)).translate(SENTENCES)) == len(SENTENCES)
    model, back = load_bundle(tmp_path / "model"), load_bundle(tmp_path / "fp32")
    for name, value in model.model.state_dict().items():
        assert torch.equal(back.model.state_dict()[name], value)


def test_training_goes_on_from_an_int8_bundle_and_leaves_it(
    tiny_run: Path, tiny_config: Path, tmp_path: Path, nmt: Command
) -> None:
    for precision in ("int8", "fp32"):
        base = tmp_path / precision
        nmt("export", tiny_run, base, "--precision", precision)
        before = hashes(base)
        run = tmp_path / f"run-{precision}"
        short = ["--training.max_updates", 2, "--training.warmup_updates", 1]
        words = ["--run", run, "--training.init_from", base, *short]
        result = nmt("train", tiny_config, *words)
        assert result.code == 0, result.err
        assert hashes(base) == before
        assert load_bundle(run).precision == "fp32"


def test_a_bundle_is_replaced_and_through_a_link_too(
    tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    out, link = tmp_path / "out", tmp_path / "link"
    assert nmt("export", tiny_run, out).code == 0
    link.symlink_to(out)
    assert nmt("export", tiny_run, link, "--precision", "int8").code == 0
    assert link.is_symlink() and load_bundle(out).precision == "int8"
    assert {path.name for path in tmp_path.iterdir()} == {"out", "link"}


def test_a_model_of_the_hub_is_exported(tiny_run: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in (tiny_run / "model").iterdir()}
    with HubServer({"someone/model": files}).running() as hub:
        done = subprocess.run(
            [sys.executable, "-m", "nmt", "export", "hf://someone/model", tmp_path / "out"],
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ
            | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
            | {"HF_HUB_DISABLE_XET": "1"},
        )
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "out") == hashes(tiny_run / "model")
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())


def make_run(tiny_run: Path, folder: Path) -> None:
    shutil.copytree(tiny_run / "model", folder / "model")


def make_more(tiny_run: Path, folder: Path) -> None:
    shutil.copytree(tiny_run / "model", folder)
    (folder / "notes.txt").write_text("mine")


@pytest.mark.parametrize(
    "make",
    [
        lambda _, path: path.write_text("x"),
        lambda _, path: path.mkdir(),
        lambda _, path: (path.mkdir(), (path / "bundle").write_text("x")),
        make_run,
        make_more,
    ],
    ids=["file", "empty folder", "folder", "run", "bundle with more"],
)
def test_what_is_no_bundle_is_not_replaced(
    make: object, tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    out = tmp_path / "out"
    make(tiny_run, out)  # type: ignore[operator]
    before = sorted(tmp_path.rglob("*"))
    result = nmt("export", tiny_run, out)
    assert result.code == 2 and sorted(tmp_path.rglob("*")) == before
    assert (
        result.err == f"nmt: error: {out} is there, and is not just a bundle; choose another OUT\n"
    )


def test_refusals_are_one_line_and_leave_nothing(
    tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    shutil.copytree(tiny_run / "model", tmp_path / "model")
    (tmp_path / "same").symlink_to(tmp_path / "model")
    before = sorted(tmp_path.rglob("*"))
    inside = "lies in the model itself"
    for model, out, told in [
        (tmp_path / "model", tmp_path / "model", f"model {inside}"),
        (tmp_path / "model", tmp_path / "same", f"same {inside}"),
        (tmp_path / "same", tmp_path / "model", f"model {inside}"),
        (tmp_path, tmp_path / "model", f"model {inside}"),  # as a run
        (tmp_path / "model", tmp_path / "model" / "int8", f"int8 {inside}"),
        (tmp_path / "model", tmp_path / "no" / "out", f"there is no folder {tmp_path / 'no'}"),
        (tmp_path / "none", tmp_path / "out", f"there is no model at {tmp_path / 'none'}"),
    ]:
        result = nmt("export", model, out)
        assert result.code == 2 and told in result.err and result.err.count("\n") == 1, result.err
        assert sorted(tmp_path.rglob("*")) == before
    result = nmt("export", tmp_path / "model", tmp_path / "out", "--precision", "int4")
    assert result.code == 2 and "'int4'" in result.err


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_weights_that_are_not_finite_are_neither_written_nor_exported(
    precision: StoredPrecision, tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    bundle = load_bundle(tiny_run)
    with torch.no_grad():
        bundle.model.decoder.projection.bias[0] = float("inf")
    with pytest.raises(NmtError, match=r"decoder\.projection\.bias holds a weight"):
        save_bundle(tmp_path / "new", dataclasses.replace(bundle, precision=precision))
    assert not list(tmp_path.iterdir())
    model = fresh(tiny_run / "model", tmp_path / "model")
    tensors = safetensors.torch.load_file(model / "weights.safetensors")
    tensors["decoder.projection.bias"][0] = float("inf")
    safetensors.torch.save_file(tensors, model / "weights.safetensors")
    reseal(model)
    result = nmt("export", model, tmp_path / "out", "--precision", precision)
    assert result.code == 2 and "decoder.projection.bias holds a weight that" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_leaves_what_was_there(large: Path, tmp_path: Path, nmt: Command) -> None:
    out = tmp_path / "out"
    nmt("export", large, out, "--precision", "int8")
    before = hashes(out)
    done = subprocess.run(
        [sys.executable, "-m", "nmt", "export", large, out],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"nmt: error: cannot write {out}: File too large" in done.stderr
    assert hashes(out) == before and [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(
    tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    result = nmt("export", tiny_run, tmp_path / "locked" / "out")
    assert result.code == 2 and "Permission denied" in result.err
