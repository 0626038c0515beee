import dataclasses
import gc
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from nmt.bundle import Bundle, find_bundle, load_bundle, save_bundle
from nmt.config import ModelConfig
from nmt.errors import BundleError, NmtError
from nmt.models.batch import pad
from nmt.models.quantization import dequantize, quantize
from nmt.models.weights import StoredPrecision
from nmt.reading import sha256
from tests.conftest import MEMBER, ROOT, save_member


@pytest.fixture
def folder(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be damaged."""
    return Path(shutil.copytree(tiny_run / "model", tmp_path / "model"))


def save_again(
    bundle: Bundle, folder: Path, metrics: dict[str, object], precision: StoredPrecision = "fp32"
) -> None:
    save_bundle(folder, dataclasses.replace(bundle, metrics=metrics, precision=precision))


def test_a_bundle_holds_what_the_design_says_and_no_path(tiny_run: Path) -> None:
    folder = tiny_run / "model"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "bundle.json",
        "config.yaml",
        "weights.safetensors",
        "source.model",
        "target.model",
        "metrics.json",
        "README.md",
    }
    for name in names - {"source.model", "target.model", "weights.safetensors"}:
        text = (folder / name).read_text()
        assert str(tiny_run.parent) not in text and "train" not in text.split("\n")[0]
    manifest = json.loads((folder / "bundle.json").read_text())
    assert set(manifest["files"]) == names - {"bundle.json"}
    for name, digest in manifest["files"].items():
        assert sha256(folder / name) == digest
    card = (folder / "README.md").read_text()
    assert "de → en" in card and "400 sentence pairs" in card and "| bleu |" in card


def test_a_bundle_does_not_name_the_folder_of_its_corpus(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret" / "data").mkdir(parents=True)
    corpus = f"hub:{tmp_path}/secret/data#all"
    config = replace(MEMBER, data=replace(MEMBER.data, corpus=corpus))
    folder = save_member(tiny_run, tmp_path / "model", config=config)
    for name in ("config.yaml", "README.md"):
        assert "secret" not in (folder / name).read_text()
    assert load_bundle(folder).config.data.corpus == "files"


def test_a_saved_bundle_loads_the_same_wherever_it_lies(tiny_run: Path, tmp_path: Path) -> None:
    first = load_bundle(tiny_run)
    save_again(first, tmp_path / "elsewhere", {"update": 3})
    second = load_bundle(tmp_path / "elsewhere")
    assert second.config == first.config and second.metrics == {"update": 3}
    assert second.tokenizer.source.model == first.tokenizer.source.model
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name])
    assert not second.model.training
    decoder = second.model.decoder
    assert decoder.projection.weight is decoder.embedding.weight  # still tied


def test_an_int8_bundle_loads_as_the_rounded_network(tiny_run: Path, tmp_path: Path) -> None:
    first = load_bundle(tiny_run)
    save_again(first, tmp_path / "int8", {"update": 3}, "int8")
    second = load_bundle(tmp_path / "int8")
    assert (first.precision, second.precision) == ("fp32", "int8")
    assert second.config == first.config and second.metrics == {"update": 3}
    rounded = dequantize(quantize(first.model))
    weights = dict(second.model.named_parameters()) | dict(second.model.named_buffers())
    assert weights.keys() == rounded.keys()
    for name, weight in weights.items():
        assert weight.dtype == torch.float32 and torch.equal(weight, rounded[name])
    decoder = second.model.decoder
    assert decoder.projection.weight is decoder.embedding.weight
    # Stored again, it is the same file.
    save_again(second, tmp_path / "again", {}, "int8")
    files = [tmp_path / name / "weights.safetensors" for name in ("int8", "again")]
    assert sha256(files[0]) == sha256(files[1])


def test_the_same_weights_are_the_same_file_in_every_process(
    tiny_run: Path, tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from nmt.bundle import load_bundle\n"
        "from nmt.models.weights import save_weights\n"
        "save_weights(Path(sys.argv[2]), load_bundle(sys.argv[1]).model, 'fp32')"
    )
    for number in range(2):
        words = [sys.executable, "-c", program, tiny_run, tmp_path / f"{number}"]
        environment = os.environ | {"PYTHONHASHSEED": f"{number}"}
        subprocess.run(words, check=True, cwd=ROOT, env=environment)
        assert sha256(tmp_path / f"{number}") == sha256(tiny_run / "model" / "weights.safetensors")


def test_who_may_read_a_bundle_may_read_all_of_it(tiny_run: Path, tmp_path: Path) -> None:
    save_again(load_bundle(tiny_run), tmp_path / "model", {})
    (tmp_path / "plain").write_text("")
    plain = (tmp_path / "plain").stat().st_mode
    assert {file.stat().st_mode for file in (tmp_path / "model").iterdir()} == {plain}


def test_a_bundle_says_how_its_weights_are_stored(tiny_run: Path, tmp_path: Path) -> None:
    bundle = load_bundle(tiny_run)
    scored: dict[str, object] = {"validation": {"loss": 1.0}}
    precisions: list[StoredPrecision] = ["fp32", "int8"]
    for precision in precisions:
        save_again(bundle, tmp_path / precision, scored, precision)
        manifest = json.loads((tmp_path / precision / "bundle.json").read_text())
        assert manifest["format"] == 3 and manifest["precision"] == precision
        card = (tmp_path / precision / "README.md").read_text()
        assert f"Weights: {precision}" in card
    told = "rounded to int8 after the scores below were taken"
    assert told in card
    scored["rounded"] = True
    save_again(load_bundle(tmp_path / "int8"), tmp_path / "back", scored, "fp32")
    assert f"Weights: fp32, {told}" in (tmp_path / "back" / "README.md").read_text()


def test_a_bundle_without_a_precision_is_damaged(folder: Path) -> None:
    manifest = json.loads((folder / "bundle.json").read_text())
    del manifest["precision"]
    (folder / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"bundle\.json .*precision"):
        load_bundle(folder)


@pytest.mark.parametrize("encoder", ["bag", "window"])
def test_encoders_without_recurrence_come_back(
    encoder: str, tiny_run: Path, tmp_path: Path
) -> None:
    config = replace(MEMBER, model=ModelConfig(encoder=encoder, hidden_size=20))  # type: ignore[arg-type]
    save_member(tiny_run, tmp_path / "model", config=config)
    first = load_bundle(tmp_path / "model")
    save_again(first, tmp_path / "again", {})
    second = load_bundle(tmp_path / "again")
    assert second.config.model.encoder == encoder
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name])
    told = {"bag": "A bag of words and a rec", "window": "The last 7 tokens and a rec"}
    assert told[encoder] in (tmp_path / "model" / "README.md").read_text()


def test_a_bundle_that_cannot_be_rounded_leaves_the_old_one(tiny_run: Path, folder: Path) -> None:
    before = (folder / "bundle.json").read_bytes()
    bundle = load_bundle(tiny_run)
    with torch.no_grad():
        bundle.model.bridge.hidden[0].weight[0, 0] = float("nan")
    with pytest.raises(NmtError, match=r"bridge.hidden.0.weight holds a weight that is not finite"):
        save_again(bundle, folder, {}, "int8")
    assert (folder / "bundle.json").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system shows no mappings")
def test_loaded_weights_are_the_files_own_pages(folder: Path) -> None:
    def mapped() -> bool:
        return str(folder / "weights.safetensors") in Path("/proc/self/maps").read_text()

    assert not mapped()
    bundle: Bundle | None = load_bundle(folder)
    assert bundle is not None and mapped()
    for parameter in bundle.model.parameters():
        assert lies_in(parameter.data_ptr(), folder / "weights.safetensors")
    del bundle, parameter
    gc.collect()
    assert not mapped()


def lies_in(address: int, file: Path) -> bool:
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, _, end = line.split()[0].partition("-")
        if int(start, 16) <= address < int(end, 16):
            return line.endswith(str(file))
    return False


def test_changing_a_loaded_weight_changes_no_file(folder: Path) -> None:
    file = folder / "weights.safetensors"
    before = sha256(file)
    bundle, other = load_bundle(folder), load_bundle(folder)
    optimizer = torch.optim.Adam(bundle.model.parameters(), lr=0.1)
    for _ in range(2):
        loss = bundle.model.loss(pad([[4, 5, 3]]), pad([[2, 4, 5, 3]]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            parameter.add_(1.0)
    assert sha256(file) == before
    for one, two in zip(bundle.model.parameters(), other.model.parameters(), strict=True):
        assert not torch.equal(one, two)
    load_bundle(folder)  # its hash still holds


def test_a_model_in_use_survives_the_bundle_that_replaces_it(tiny_run: Path, folder: Path) -> None:
    old = load_bundle(folder)
    before = {
        name: value.clone() for name, value in load_bundle(tiny_run).model.state_dict().items()
    }
    new = load_bundle(tiny_run)
    with torch.no_grad():
        for parameter in new.model.parameters():
            parameter.zero_()
    save_again(new, folder, {})
    shutil.rmtree(folder)
    for name, value in old.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_run_stands_for_its_best_bundle(tiny_run: Path) -> None:
    assert find_bundle(tiny_run) == tiny_run / "model"
    assert find_bundle(tiny_run / "model") == tiny_run / "model"


def break_weights(folder: Path) -> None:
    data = bytearray((folder / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(data)


def change_manifest(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "bundle.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-3])  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (break_weights, r"weights.safetensors is damaged: its SHA-256 is not the one"),
        (cut("config.yaml"), r"config.yaml is damaged"),
        (cut("target.model"), r"target.model is damaged"),
        (cut("metrics.json"), r"metrics.json is damaged"),
        (cut("bundle.json"), r"bundle.json is not valid JSON: .*; copy the model again"),
        (lambda f: (f / "weights.safetensors").unlink(), r"weights.safetensors: No such file"),
        (lambda f: (f / "bundle.json").write_text("[]"), r"bundle.json is not"),
        (
            change_manifest(format=4),
            r"bundle.json has bundle format 4, and nmt .* reads up to 3; install",
        ),
        (change_manifest(precision="int4"), r"bundle.json is damaged.*'int4'"),
        (change_manifest(precision="int8"), r"does not fit nmt .*: the weights are not int8"),
        (change_manifest(files={}), r"bundle.json is damaged: it does not list config.yaml"),
    ],
)
def test_a_damaged_bundle_is_refused_by_the_files_name(
    folder: Path, damage: Callable[[Path], None], told: str
) -> None:
    damage(folder)
    with pytest.raises(BundleError, match=told) as error:
        load_bundle(folder)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


def test_a_manifest_cannot_reach_out_of_its_folder(folder: Path) -> None:
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["../secret"] = "0" * 64
    (folder / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"'../secret' is no part of a bundle"):
        load_bundle(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    safetensors.torch.save_file({"x": torch.zeros(1)}, folder / "weights.safetensors")
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["weights.safetensors"] = sha256(folder / "weights.safetensors")
    (folder / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="does not fit nmt") as error:
        load_bundle(folder)
    assert "\n" not in str(error.value)


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"there is no model at .*no: no such folder"):
        find_bundle(tmp_path / "no")
    with pytest.raises(BundleError, match=r"is neither a run nor a model: it holds no bundle.json"):
        find_bundle(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(BundleError, match="has no model yet: none was validated so far"):
        find_bundle(tmp_path)


def test_a_reader_always_finds_a_whole_bundle_while_newer_ones_replace_it(
    tiny_run: Path, tmp_path: Path
) -> None:
    bundle, folder, stop = load_bundle(tiny_run), tmp_path / "model", threading.Event()
    save_again(bundle, folder, {"update": 0})
    errors: list[Exception] = []
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            try:
                seen.append(load_bundle(folder).metrics["update"])
            except Exception as error:
                errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for update in range(1, 40):
        save_again(bundle, folder, {"update": update})
    stop.set()
    reader.join()
    assert not errors and seen == sorted(seen) and len(seen) > 1
