"""Files that are damaged or made to do harm: each is found, and named in one short line."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from nmt.bundle import load_bundle
from nmt.config import load_config
from nmt.config.parser import parse_config
from nmt.data.distilled import TeacherTranslations
from nmt.errors import BundleError, ConfigError, DataError
from nmt.reading import is_sealed, read_bytes, read_rows, seal
from nmt.training.averaging import average_checkpoints
from nmt.training.checkpoints import checkpoint_files
from nmt.training.run import train
from tests.conftest import Command
from tests.soak.damage import bomb, damages, link_out, make_huge, nest, reseal
from tests.soak.files import files_of, fresh, learned
from tests.training.made import assert_equal_weights, changed, train_until_killed

DRAW = random.Random(1)
HEAD = "data: {source_language: de, target_language: en}\n"


@pytest.fixture
def model(tiny_run: Path, tmp_path: Path) -> Path:
    return fresh(tiny_run / "model", tmp_path / "model")


@pytest.fixture(scope="module")
def other_run(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as `tiny_run` with another learning rate: all shapes are the same."""
    run = tmp_path_factory.mktemp("other") / "run"
    train(changed(tiny_config, learning_rate=0.02, keep_checkpoints=3), run)
    return run


@pytest.fixture(scope="module")
def unfinished(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as `tiny_run`, with checkpoints after updates 10 and 20 of 30."""
    run = tmp_path_factory.mktemp("unfinished") / "run"
    train(changed(tiny_config, keep_checkpoints=3), run)
    checkpoint_files(run / "checkpoints")[-1].unlink()
    return run


@pytest.fixture
def begun(unfinished: Path, tmp_path: Path) -> Path:
    return fresh(unfinished, tmp_path / "run")


@pytest.mark.parametrize("name", ["pairs.arrow", "lengths.npy", "marks.npy", "source.model"])
def test_a_flipped_bit_in_the_cache_is_found(name: str, tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config, ["--data.cache", str(tmp_path)])
    expected = learned(config)
    (path,) = tmp_path.glob(f"*/{name}")
    whole = path.read_bytes()
    for bit in (0, 3, 4 * len(whole), 8 * len(whole) - 7):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        assert learned(config) == expected
        assert path.read_bytes() == whole


def test_a_flipped_bit_in_a_teachers_translation_is_found(tmp_path: Path) -> None:
    kept = TeacherTranslations(tmp_path, 2)
    kept.write(0, [["ein Satz"], ["noch einer"]])
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for byte in range(10, len(whole)):  # after gzip's header, which holds no text
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1]) + whole[byte + 1 :])
        assert kept.missing() == {0}


def test_a_sealed_folder_is_what_it_was(tmp_path: Path) -> None:
    for damage in damages(Path("sums.json")):
        for name in ("data.json", "sums.json"):
            folder = tmp_path / f"{damage.__name__}-{name}"
            folder.mkdir()
            (folder / "data.json").write_text('{"a": 12345678}')
            assert not is_sealed(folder)
            seal(folder)
            assert is_sealed(folder)
            damage(folder / name, DRAW)
            assert not is_sealed(folder), damage
    shutil.rmtree(folder)
    folder.mkdir()
    seal(folder)
    (folder / "more").write_text("")
    assert not is_sealed(folder)


def test_every_damage_to_a_bundle_is_named_soon(tiny_run: Path, tmp_path: Path) -> None:
    for path in files_of(tiny_run / "model"):
        for damage in damages(path):
            model = fresh(tiny_run / "model", tmp_path / "model")
            damage(model / path.name, DRAW)
            with pytest.raises(BundleError) as error:
                load_bundle(model)
            told = str(error.value)
            assert path.name in told and len(told) <= 1000 and "\n" not in told, damage
            assert not (model / "ran").exists()


def test_what_only_the_parsers_can_find_is_named(tiny_run: Path, tmp_path: Path) -> None:
    for name, damage in [("config.yaml", bomb), ("config.yaml", nest), ("metrics.json", nest)]:
        model = fresh(tiny_run / "model", tmp_path / "model")
        damage(model / name, DRAW)
        reseal(model)
        with pytest.raises(BundleError, match=name):
            load_bundle(model)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused(value: float, model: Path, nmt: Command) -> None:
    tensors = safetensors.torch.load_file(model / "weights.safetensors")
    tensors["decoder.projection.bias"][7] = value
    safetensors.torch.save_file(tensors, model / "weights.safetensors")
    reseal(model)
    (model.parent / "text").write_text("Hund\n")
    done = nmt("score", model, "--source", model.parent / "text", "--target", model.parent / "text")
    assert done.code == 2 and done.out == ""
    assert "decoder.projection.bias" in done.err and done.err.count("\n") == 1


def test_more_weights_than_the_network_has_are_not_read(model: Path) -> None:
    make_huge(model / "weights.safetensors", DRAW)
    with pytest.raises(BundleError, match=r"weights\.safetensors is damaged: it holds more than"):
        load_bundle(model)


def test_links_stay_in_the_bundle_or_in_the_hubs_cache(model: Path, tmp_path: Path) -> None:
    hub = tmp_path / "hub" / "models--a--b"
    snapshot = hub / "snapshots" / "1f2e"
    (hub / "blobs").mkdir(parents=True)
    shutil.copytree(model, snapshot)
    for path in files_of(snapshot):
        link_out(path, hub / "blobs" / path.name)
    assert load_bundle(snapshot).config == load_bundle(model).config
    link_out(model / "config.yaml", tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"config\.yaml is a link out of the bundle"):
        load_bundle(model)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "a: &a [x, x]\nb: &b [*a, *a]\n" * 1 + "c: &c [*c]\n",
        HEAD + "seed: " + "[" * 50_000,
        HEAD + "seed: !!int x",
        HEAD + "seed: !!bool x",
        HEAD + "seed: !!float ''",
        HEAD + "seed: " + "9" * 5000,
        HEAD + "seed: !!timestamp x",
        HEAD + "seed: " + "x" * 100_000,
        HEAD + f"{'x' * 1000}: 1",
        HEAD + f"? {'x' * 100_000}\n: 1",
    ],
)
def test_hostile_yaml_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(text, origin="my.yaml")
    assert "my.yaml" in str(error.value) and len(str(error.value)) <= 1000


def test_yaml_that_expands_is_refused(tmp_path: Path) -> None:
    bomb(tmp_path / "bomb.yaml", DRAW)
    with pytest.raises(ConfigError, match=r"bomb\.yaml: .*alias"):
        load_config(tmp_path / "bomb.yaml")


def test_a_config_may_come_through_a_pipe_and_a_device_has_no_end(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, HEAD.encode())
    os.close(writer)
    assert load_config(f"/dev/fd/{reader}").data.source_language == "de"
    os.close(reader)
    with pytest.raises(ConfigError, match=r"/dev/zero .*holds more than"):
        load_config("/dev/zero")
    with pytest.raises(DataError, match=r"/dev/zero: it is not a regular file"):
        read_bytes("/dev/zero")


@pytest.mark.parametrize("name", ["environment.json", "config.yaml"])
def test_resuming_a_damaged_run_is_refused_in_one_line(
    name: str, begun: Path, tiny_config: Path, tmp_path: Path, nmt: Command
) -> None:
    for damage in damages(begun / name):
        run = fresh(begun, tmp_path / "damaged")
        damage(run / name, random.Random(3))
        done = nmt("train", tiny_config, "--run", run, "--resume")
        errors = [line for line in done.err.splitlines() if "error" in line]
        if done.code == 0 and name == "config.yaml":
            continue  # a key that may change
        assert done.code == 2 and len(errors) == 1, (damage, done.err)
        assert str(run) in errors[0] and "unexpected" not in errors[0], damage


def test_a_run_without_its_environment_is_refused(begun: Path, tiny_config: Path) -> None:
    (begun / "environment.json").unlink()
    with pytest.raises(DataError, match=r"environment\.json: No such file"):
        train(load_config(tiny_config), begun, resume=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("update", "date", 1),
        lambda text: text.replace(",", '"', 20),
        lambda text: text.replace("\n10,", "\n1\0,"),
        lambda text: "x" * 300_000 + text,
        lambda text: "",
        lambda text: text + "9" * 5000 + ",,\n",
    ],
)
def test_a_damaged_history_costs_rows_and_no_weights(
    damage: Callable[[str], str],
    begun: Path,
    tiny_config: Path,
    tiny_run: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = begun / "metrics.csv"
    before = path.read_text()
    path.write_text(damage(before))
    number = read_rows(path)[1]
    train(load_config(tiny_config), begun, resume=True)
    assert_equal_weights(begun, tiny_run)
    assert (f"metrics.csv: {number} damaged rows" in caplog.text) == (number > 0)
    rows, damaged = read_rows(path)
    assert damaged == 0 and {row["update"] for row in rows} >= {"25", "30"}


def test_another_runs_checkpoint_is_named(
    begun: Path, other_run: Path, tiny_config: Path, tiny_run: Path, nmt: Command
) -> None:
    """Its shapes and its data are the same; only the learning rate differed."""
    newest = checkpoint_files(begun / "checkpoints")[-1]
    shutil.copy(other_run / "checkpoints" / newest.name, newest)
    with pytest.raises(DataError, match=rf"{newest.name} is another run's"):
        average_checkpoints(begun, 2)
    done = nmt("train", tiny_config, "--run", begun, "--resume")
    assert done.code == 0 and f"{newest.name} is another run's" in done.err
    assert_equal_weights(begun, tiny_run)


def test_a_checkpoint_that_is_none_is_named(begun: Path, nmt: Command) -> None:
    path = checkpoint_files(begun / "checkpoints")[-1]
    for values in ([1], {}, {"global_step": 3}, torch.zeros(3)):
        torch.save(values, path)
        done = nmt("export", begun, begun.parent / "out", "--average", "2")
        assert done.code == 2 and path.name in done.err and "unexpected" not in done.err


def permuted(model: Path) -> None:
    """Exchange two pieces of a SentencePiece model."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

    proto = ModelProto.FromString(model.read_bytes())
    one, other = proto.pieces[40], proto.pieces[41]
    one.piece, other.piece = other.piece, one.piece
    model.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize("how", ["permuted", "damaged", "gone"])
def test_the_tokenizer_belongs_to_the_run(
    how: str, begun: Path, tiny_config: Path, tiny_run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes back from the best model; without that the run is refused, not broken."""
    for model in (begun / "tokenizer").iterdir():
        permuted(model) if how == "permuted" else model.write_bytes(b"x")
    if how == "gone":
        shutil.rmtree(begun / "tokenizer")
    lost = fresh(begun, begun.parent / "lost")
    shutil.rmtree(lost / "model")
    train(load_config(tiny_config), begun, resume=True)
    assert "restored from" in caplog.text
    assert_equal_weights(begun, tiny_run)
    for model in (tiny_run / "tokenizer").iterdir():
        assert (begun / "tokenizer" / model.name).read_bytes() == model.read_bytes()
    before = sorted(lost.rglob("*"))
    with pytest.raises(DataError, match=r"tokenizer"):
        train(load_config(tiny_config), lost, resume=True)
    assert sorted(lost.rglob("*")) == before


def test_a_run_that_was_killed_before_its_first_checkpoint_keeps_its_tokenizer(
    tiny_config: Path, tmp_path: Path
) -> None:
    train_until_killed(changed(tiny_config, checkpoint_every=9), tmp_path / "run", after=3)
    shutil.rmtree(tmp_path / "run" / "tokenizer")
    with pytest.raises(DataError, match=r"run/tokenizer is missing"):
        train(changed(tiny_config, checkpoint_every=9), tmp_path / "run", resume=True)


def test_a_message_is_one_short_line() -> None:
    error = DataError(f"my.yaml:\n {'x' * 100_000} is wrong; give less")
    assert str(error).startswith("my.yaml: xxx") and str(error).endswith("is wrong; give less")
    assert len(str(error)) < 1000


def test_records_of_other_types_are_damaged(tiny_run: Path, tmp_path: Path, nmt: Command) -> None:
    flow: dict[str, object] = {"cell": "lstm", "moment": "trained", "sentences": 1, "reach": None}
    flow |= {"states": [], "gates": [], "sums": [], "verdicts": [{"level": "fine", "text": "x"}]}
    for name, values in [
        ("environment.json", {"data": {"found": []}}),
        ("environment.json", {"versions": {"torch": [1]}}),
        ("model/metrics.json", {"validation": 5}),
        ("model/bundle.json", {"files": []}),
        ("scores.test.json", {"bleu": None, "chrf": 1}),
        ("diagnosis.json", {"split": "", "weights": "", "flows": [flow]}),
    ]:
        run = fresh(tiny_run, tmp_path / "run")
        (run / name).write_text(json.dumps(values))
        done = nmt("report", run, "--text")
        assert done.code == 2 and str(run / name) in done.err, done.err
        assert done.err.count("\n") == 1 and "unexpected" not in done.err
