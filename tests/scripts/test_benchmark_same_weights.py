"""benchmark_same_weights.py measures at toy size, and its figures follow from one another."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch

from nmt.bundle import load_bundle
from nmt.data.phrases import read_split
from tests.conftest import ROOT, write_pairs
from tests.scripts.running import run_script

SIZE, LINES = 16, 30


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus under the names of Multi30k's files."""
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder / "train", [*read_split("train")[:199], ("Ja …", "Yes …"), ("", "Blank.")])
    write_pairs(folder / "val", read_split("validation")[:10])
    write_pairs(folder / "test_2016_flickr", read_split("test")[:20])
    return folder


@pytest.fixture(scope="module")
def measured(data: Path) -> tuple[dict[str, Any], str]:
    """What the script wrote and printed, without a peer."""
    words = ["--data", data, "--work", data / "work", "--json", data / "out.json"]
    words += ["--sizes", SIZE, "--rounds", 1, "--updates", 6, "--model-updates", 3]
    words += ["--lines", LINES, "--device", "cpu"]
    done = run_script("benchmark_same_weights.py", data, *words)
    assert done.returncode == 0, done.stderr
    return json.loads((data / "out.json").read_text()), done.stdout


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))


@pytest.mark.slow
def test_the_machine_and_the_corpus_are_named(measured: tuple[dict[str, Any], str]) -> None:
    report, printed = measured
    machine = report["machine"]
    assert machine["processor"] in printed
    assert machine["ours"]["torch"] == torch.__version__ and machine["ours"]["threads"] == 1
    settings = report["settings"]
    assert settings["pairs"] == 200 and settings["lines"] == LINES
    assert f"{settings['source_tokens']:,} + {settings['target_tokens']:,} tokens" in printed


@pytest.mark.slow
def test_a_trainings_share_of_the_limit_follows(
    measured: tuple[dict[str, Any], str], data: Path
) -> None:
    report, printed = measured
    (row,) = report["training"]
    model = load_bundle(data / "work" / f"model-{SIZE}").model
    weights = {
        name: parameter.numel()
        for name, parameter in model.named_parameters()
        if parameter.dim() == 2 and "embedding" not in name
    }
    encoder = sum(size for name, size in weights.items() if name.startswith("encoder"))
    decoder = sum(weights.values()) - encoder
    settings = report["settings"]
    ratio = settings["source_tokens"] / settings["target_tokens"]
    assert row["flops_per_target_token"] == pytest.approx(6 * (encoder * ratio + decoder))
    ours = row["ours"]
    for one in ours["rounds"]:
        flops = one["tokens_per_second"] * row["flops_per_target_token"]
        assert one["share"] == pytest.approx(flops / (one["limit_gflops"] * 1e9))
    assert ours["share"] == median(one["share"] for one in ours["rounds"])
    assert f"{ours['tokens_per_second']:,.0f}" in printed and f"{ours['share']:.1%}" in printed
    assert ours["peak_mib"] > 0


@pytest.mark.slow
def test_both_searches_and_precisions_are_measured(measured: tuple[dict[str, Any], str]) -> None:
    report, printed = measured
    assert [row["search"] for row in report["translation"]] == ["greedy", "beam 5"]
    for row in report["translation"]:
        ours, int8 = row["ours"], row["int8"]
        assert ours["same"] == 1 and ours["scored"] == 20 and "tok:13a" in ours["signature"]
        assert f"{ours['lines_per_second']:,.1f}" in printed
        if "refused" in int8:  # where this machine or this nmt has no integer arithmetic
            assert "int8" in int8["refused"] and "int8_gain" not in row
        else:
            gain = int8["lines_per_second"] / ours["lines_per_second"]
            assert row["int8_gain"] == pytest.approx(gain)


@pytest.mark.slow
def test_the_first_line_is_compared_with_importing_torch(
    measured: tuple[dict[str, Any], str],
) -> None:
    (row,) = measured[0]["start"]
    for one in row["ours"]["rounds"]:
        assert one["times_import"] == pytest.approx(one["seconds"] / one["import_seconds"])


@pytest.mark.slow
def test_without_a_peer_its_columns_are_left_out(measured: tuple[dict[str, Any], str]) -> None:
    report, printed = measured
    assert "peer" not in report["machine"]
    for table in ("training", "translation", "start"):
        assert all("peer" not in row and "ratio" not in row for row in report[table])
    assert "ours" in printed and "peer" not in printed


def test_a_ratio_needs_both_sides(scripts: None) -> None:
    from benchmark_contest import _ratio

    row = {"ours": {"speed": 6.0}, "peer": {"speed": 3.0}, "int8": {"refused": "no"}}
    assert _ratio(row, "ratio", "ours", "peer", "speed") == {"ratio": 2.0}
    assert _ratio(row, "ratio", "int8", "peer", "speed") == {}
    assert _ratio({"ours": {"speed": 6.0}}, "ratio", "ours", "peer", "speed") == {}


def test_the_peers_files_hold_the_same_tokens(scripts: None, data: Path, tmp_path: Path) -> None:
    from benchmark_ours import prepare, texts_of

    made = prepare(data, tmp_path, wanted=25)
    pieces = (tmp_path / "lines.pieces").read_text().splitlines()
    assert len(pieces) == 25 and made.lines[:20] == [source for source, _ in made.test]
    assert all(row.endswith(" </s>") for row in pieces)
    source, target = made.tokenizer.source, made.tokenizer.target
    rows = [row.removesuffix(" </s>") for row in pieces]
    assert texts_of(rows, source) == source.decode(source.encode(made.lines))
    english = (tmp_path / "train.en").read_text().split("\n")[:-1]
    assert any("…" in text for text in english)  # the source's normalisation would change it
    rows = (tmp_path / "pieces.en").read_text().split("\n")[:-1]
    assert texts_of(rows, target) == target.decode(target.encode(english))
    assert texts_of(["", "▁A\u00a0b"], target) == ["", target.decode([[target.unk_id]])[0]]
    for language, tokens in [("de", made.source_tokens), ("en", made.target_tokens)]:
        rows = (tmp_path / f"pieces.{language}").read_text().split("\n")[:-1]
        assert len(rows) == made.pairs
        ends = 0 if language == "de" else len(rows)  # the peer adds those of the target
        assert sum(len(row.split()) for row in rows) + ends == tokens
    vocabulary = (tmp_path / "vocabulary").read_text().split("\n")[:-1]
    assert vocabulary[:4] == ["<blank>", "<unk>", "<s>", "</s>"]
    assert len(vocabulary) == len(source)


def test_the_peers_embeddings_are_what_our_network_reads(
    scripts: None, tiny_run: Path, tmp_path: Path
) -> None:
    from benchmark_ours import weights

    weights(str(tiny_run), str(tmp_path / "weights.pt"))
    found = torch.load(tmp_path / "weights.pt")
    model = load_bundle(tiny_run).model
    for name, side in (("encoder", model.encoder), ("decoder", model.decoder)):
        read = side.embedding(torch.arange(len(found["pieces"])))
        assert torch.equal(found["weights"][f"{name}.embedding.weight"], read)
        assert not torch.equal(read, side.embedding.weight)


def test_weights_move_to_the_peers_names_and_ids(scripts: None) -> None:
    from benchmark_peer import peer_weights

    def stack(side: str) -> dict[str, torch.Tensor]:
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        layers = ("l0", "l1", "l0_reverse", "l1_reverse") if side == "encoder" else ("l0", "l1")
        return {f"{side}.stack.{kind}_{layer}": torch.rand(3) for kind in kinds for layer in layers}

    ours = {
        "encoder.embedding.weight": torch.arange(10.0).view(5, 2),
        "decoder.embedding.weight": torch.arange(10.0, 20.0).view(5, 2),
        "decoder.projection.weight": torch.rand(5, 3),
        "decoder.projection.bias": torch.arange(5.0),
        **stack("encoder"),
        **stack("decoder"),
    }
    pieces = ["<pad>", "<unk>", "<s>", "</s>", "▁a"]
    source = ["▁a", "<unk>", "<blank>", "<s>", "</s>"]
    target = ["</s>", "▁a", "<s>", "<unk>", "<blank>"]
    model, generator = peer_weights(ours, pieces, source, target)

    table = "embeddings.make_embedding.emb_luts.0.weight"
    assert model[f"encoder.{table}"].tolist() == [[8, 9], [2, 3], [0, 1], [4, 5], [6, 7]]
    assert model[f"decoder.{table}"][:, 0].tolist() == [16, 18, 14, 12, 10]
    assert generator["bias"].tolist() == [3, 4, 2, 1, 0]
    for theirs, id_ in enumerate([3, 4, 2, 1, 0]):
        assert torch.equal(generator["weight"][theirs], ours["decoder.projection.weight"][id_])
    for name in [*stack("encoder"), *stack("decoder")]:
        assert torch.equal(model[name.replace("stack", "rnn")], ours[name])
    assert len(model) + len(generator) == len(ours)
