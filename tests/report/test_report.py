import dataclasses
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics import CHRF
from safetensors.numpy import save_file

from nmt.diagnosis.records import Verdict, write_record
from nmt.errors import DataError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.significance import paired_bootstrap
from nmt.evaluation.translations import Translations, write_translations
from nmt.report.blocks import (
    Block,
    Details,
    Figure,
    Paragraph,
    Report,
    Sentences,
    Table,
)
from nmt.report.curves import curves
from nmt.report.drawing import inline_svg
from nmt.report.gradients import compared, gradients
from nmt.report.lengths import lengths
from nmt.report.losses import losses
from nmt.report.run_report import make_report
from nmt.report.runs import read_runs
from nmt.report.samples import marked
from nmt.report.scores import scores
from nmt.report.setup import data, settings
from nmt.report.states import probes
from tests.report.made import (
    CONFIG,
    REFERENCES,
    SOURCES,
    diagnosis,
    flow,
    good_hypotheses,
    make_diagnosed_run,
    make_run,
    poor_hypotheses,
)


def tables(blocks: Sequence[Block]) -> list[Table]:
    found: list[Table] = []
    for block in blocks:
        found += [block] if isinstance(block, Table) else []
        found += tables(block.blocks) if isinstance(block, Details) else []
    return found


def texts(report: Report) -> str:
    blocks = [block for section in report.sections for block in section.blocks]
    return "\n".join(block.text for block in blocks if isinstance(block, Paragraph | Verdict))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_diagnosed_run(tmp_path_factory.mktemp("reported") / "run")


def test_scores_come_with_intervals_and_signatures(folder: Path) -> None:
    stored = json.loads((folder / "scores.test.json").read_text())
    bleu = stored["bleu"]
    section = scores(read_runs([folder]))
    told = section.blocks[0]
    interval = f"[{bleu['low']:.2f}, {bleu['high']:.2f}]"
    assert isinstance(told, Paragraph) and f"BLEU {bleu['score']:.2f} {interval}" in told.text
    table, signatures, best = tables(section.blocks)
    assert list(table.rows[0][:2]) == ["test", f"{bleu['score']:.2f} {interval}"]
    assert ("BLEU", bleu["signature"]) in list(signatures.rows)
    assert list(best.rows[0]) == ["20", "4.25", "70.10", "12.50", "30.25"]


def test_a_sentence_says_what_a_run_is(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", good_hypotheses())
    weights = {"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float32)}
    save_file(weights, run / "model" / "weights.safetensors", {"format": "pt"})
    log = [
        "10:00:00,111 started",
        "10:00:00,222 device: cpu",
        "10:20:30,999 saved",
        "11:59:00,000 started",
        "11:59:01,000 device: cpu",
        "12:01:31,000 end",
    ]
    (run / "train.log").write_text("".join(f"2026-01-02 {line}\n" for line in log) + "a table\n")
    for name in ("scores.{}.json", "translations.{}.jsonl"):
        shutil.copy(run / name.format("test"), run / name.format("long"))
    (read,) = read_runs([run])
    assert (read.parameters, read.ended) == (3 * 4 + 5, "2026-01-02")
    assert read.minutes == pytest.approx(20.5 + 2 + 31 / 60)
    assert list(read.scores) == ["test", "long"]
    bleu = json.loads((run / "scores.test.json").read_text())["bleu"]
    told = scores([read]).blocks[0]
    assert isinstance(told, Paragraph)
    for part in ("17 parameters", "23 min", "1 processor", "2026-01-02", f"{bleu['score']:.2f}"):
        assert part in told.text


def test_a_run_of_several_processes_names_their_number(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", good_hypotheses())
    (run / "train.log").write_text("2026-01-02 10:00:00,111 started\n")
    environment = json.loads((run / "environment.json").read_text())
    environment["machine"]["processes"] = 4
    (run / "environment.json").write_text(json.dumps(environment))
    told = scores(read_runs([run])).blocks[0]
    assert isinstance(told, Paragraph) and "on 4 × 1 processor threads" in told.text


def test_the_weights_of_a_run_are_counted_as_its_log_counts_them(tiny_run: Path) -> None:
    (read,) = read_runs([tiny_run])
    assert f"model: {read.parameters:,} parameters" in (tiny_run / "train.log").read_text()


def test_what_only_the_training_loss_includes_is_said(tmp_path: Path) -> None:
    training = dataclasses.replace(CONFIG.training, label_smoothing=0.0, r_drop=2.5)
    config = dataclasses.replace(CONFIG, training=training)
    run = make_run(tmp_path / "run", good_hypotheses(), config)
    told = [block.text for block in curves(read_runs([run])).blocks if isinstance(block, Paragraph)]
    assert len(told) == 1 and "The training loss includes r_drop (2.5) and dropout" in told[0]


def test_sentences_where_two_runs_differ_most_are_shown(folder: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", poor_hypotheses())
    report = make_report([folder, other])
    blocks = next(s for s in report.sections if s.title == "Translations").blocks
    (fold,) = [b for b in blocks if isinstance(b, Details) and "differ most" in b.title]
    before, after = (
        [
            CHRF().sentence_score(text, [ref]).score
            for text, ref in zip(side, REFERENCES, strict=True)
        ]
        for side in (good_hypotheses(), poor_hypotheses())
    )
    row = max(range(24), key=lambda row: abs(after[row] - before[row]))
    told, shown = fold.blocks[:2]
    assert isinstance(told, Paragraph) and isinstance(shown, Sentences)
    assert f"{before[row]:.1f} of run, {after[row]:.1f} of other" in told.text
    assert shown.lines[0][1] == [("", SOURCES[row])]
    assert [label for label, _ in shown.lines] == ["source", "reference", "run", "other"]


def test_the_ends_of_training_are_read_off_the_curves(folder: Path) -> None:
    table = tables(curves(read_runs([folder])).blocks)[0]
    assert list(table.rows[0]) == [
        "30",
        "2",
        "3.875",
        "4.000",
        "12.50 at 20",
        "0.75 (1.25)",
        "2,000",
    ]


def test_a_row_of_metrics_that_was_broken_off_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    with open(run / "metrics.csv", "a") as stream:
        stream.write("40,2,3.5e")
    (read,) = read_runs([run])
    assert read.column("train_loss") == ([10, 20, 30], [5.5, 4.5, 3.875])


def test_two_runs_are_compared_by_paired_bootstrap(folder: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", poor_hypotheses())
    section = scores(read_runs([folder, other]))
    found = tables(section.blocks)[1]
    expected = paired_bootstrap(
        good_hypotheses(), poor_hypotheses(), [REFERENCES], TargetLanguage("en")
    )
    assert list(found.rows[0]) == [
        "other",
        "test",
        f"{expected.system - expected.baseline:+.2f}",
        f"{expected.p_value:.4f}",
        "yes",
    ]
    assert expected.system < expected.baseline - 30
    assert [row[0] for row in tables(section.blocks)[0].rows] == ["run", "other"]


def test_an_editors_copies_beside_the_scores_are_left_alone(folder: Path) -> None:
    before = texts(make_report([folder]))
    scores = json.loads((folder / "scores.test.json").read_text())
    scores["bleu"]["score"] = 99.9
    for name in ("scores.test.json~", "scores.test.json.bak", "scores.other.txt"):
        (folder / name).write_text(json.dumps(scores))
    (folder / "translations.test.txt").write_text("mine")
    assert texts(make_report([folder])) == before


def test_why_two_runs_are_not_compared_is_said(folder: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", poor_hypotheses())
    changed = ["other words", *REFERENCES[1:]]
    path = other / "translations.test.jsonl"
    write_translations(path, Translations(SOURCES, changed, poor_hypotheses()))
    said = texts(make_report([folder, other]))
    assert "test: other is not compared: its references are not those of run." in said
    path.unlink()
    said = texts(make_report([folder, other]))
    assert "test: other is not compared: other has no translations.test.jsonl." in said


def test_breakdowns_of_two_runs_stand_side_by_side(folder: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", poor_hypotheses())
    groups, faults = tables(lengths(read_runs([folder, other])).blocks)
    assert [row[0] for row in groups.rows[:4]] == ["run", "other", "run", "other"]
    assert groups.rows[0][1] == groups.rows[1][1]
    # 23 of 24 say "dog dog dog", one is empty
    assert list(faults.rows[1][2:]) == ["95.8 %", "4.17 %", "0 %"]


def test_the_mean_loss_weighs_every_token(folder: Path) -> None:
    table, rare = tables(losses(read_runs([folder])).blocks)
    # tokens 2 to 5: losses 2.5, 2.75, 3, 3.25 of 50, 33, 25 and 20 tokens
    mean = (2.5 * 50 + 2.75 * 33 + 3 * 25 + 3.25 * 20) / 128
    assert list(table.rows[0][:2]) == ["2.250", f"{mean:.3f}"]
    assert [list(row) for row in rare.rows] == [["0", "7.500", "3"], ["1,024–2,047", "1.250", "40"]]


def test_decay_is_said_in_steps_per_halving(folder: Path) -> None:
    section = gradients(read_runs([folder]))
    reach, decay, gates, sums = tables(section.blocks)
    assert list(reach.rows[0]) == ["lstm", "trained", "0.02 %", "12"]
    assert list(decay.rows[0]) == ["encoder", "1", "hidden", "0.5000", "1.0"]
    assert list(gates.rows[0][3:]) == [
        "0.875",
        "1 %",
        "50 %",
        "1.5",
        "2.5",
        "3.5",
        "4.5",
        "55.5",
    ]
    assert list(sums.rows[0]) == ["decoder.weight_hh_l0", "1.5e-07"]


def test_the_fitted_line_is_that_of_least_squares(folder: Path, tmp_path: Path) -> None:
    from matplotlib.figure import Figure as Canvas

    norms = [0.9, 0.35, 0.3, 0.1, 0.07]
    slope, height = np.polyfit(range(5), np.log(norms), 1)
    one = flow()
    factor = float(np.exp(slope))
    curve = dataclasses.replace(one.states[0], by_distance=norms, kept_per_step=factor)
    run = make_run(tmp_path / "run", poor_hypotheses())
    found = dataclasses.replace(diagnosis(), flows=[dataclasses.replace(one, states=[curve])])
    write_record(run / "diagnosis.json", found)
    figure = next(b for b in gradients(read_runs([run])).blocks if isinstance(b, Figure))
    axes = Canvas().add_subplot()
    figure.draw(axes)
    measured, fitted = axes.get_lines()
    assert list(np.asarray(measured.get_ydata())) == norms
    expected = np.exp(height + slope * np.array([0, 4]))
    np.testing.assert_allclose(np.asarray(fitted.get_ydata()), expected)


def test_several_flows_are_compared_and_folded(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    flows = [flow("tanh", "start", 0.25), flow("lstm", "start", 0.75)]
    write_record(run / "diagnosis.json", dataclasses.replace(diagnosis(), flows=flows))
    section = gradients(read_runs([run]))
    folds = [block.title for block in section.blocks if isinstance(block, Details)]
    assert folds == [f"{name}, start: decay, maps and gates" for name in ("tanh", "lstm")]
    names = [figure.name for figure in make_report([run]).figures()]
    assert "flow-compared-decoder-hidden" in names
    assert len(set(names)) == len(names)


def test_probes_show_what_changed(folder: Path) -> None:
    section = probes(read_runs([folder]))
    (table,) = tables(section.blocks)
    assert list(table.rows[0]) == ["intact", "2.500", "", "30.50", ""]
    assert list(table.rows[1]) == ["zeroed", "4.000", "+1.500", "0.25", "-30.25"]
    assert Verdict("good", "the decoder listens") in section.blocks


def test_figures_of_two_runs_have_names_of_their_own(folder: Path, tmp_path: Path) -> None:
    other = make_diagnosed_run(tmp_path / "run")
    report = make_report([folder, other])
    names = [figure.name for figure in report.figures()]
    assert len(set(names)) == len(names)
    assert {"1-alignment-1", "2-alignment-1"} <= set(names)
    assert report.title == f"{folder}, {other}: de → en"  # both folders are called `run`


def test_settings_show_what_differs_from_the_defaults(folder: Path, tmp_path: Path) -> None:
    model = dataclasses.replace(CONFIG.model, cell="tanh")
    other = make_run(tmp_path / "x", poor_hypotheses(), dataclasses.replace(CONFIG, model=model))
    (table,) = tables(settings(read_runs([folder, other])).blocks)
    assert list(table.columns) == ["key", "run", "x", "default"]
    rows = {row[0]: list(row[1:]) for row in table.rows}
    assert rows["model.cell"] == ["gru", "tanh", "lstm"]
    assert rows["model.layers"] == ["1", "1", "2"]
    assert "model.dropout" not in rows


def test_data_has_fingerprints_and_filters(folder: Path) -> None:
    sizes, prints, filters = tables(data(read_runs([folder])).blocks)
    assert list(sizes.rows[0]) == ["4,321", "4,300", "56,789", "54,321"]
    assert [row[1] for row in prints.rows] == ["a" * 64, "b" * 64]  # f is of a teacher's
    assert ["duplicates", "off", "7", "0"] in [list(row) for row in filters.rows]
    assert ["too_long", "100", "0", "0"] in [list(row) for row in filters.rows]


def test_a_diagnosis_of_other_weights_is_said_first(tmp_path: Path) -> None:
    run = make_diagnosed_run(tmp_path / "run")
    write_record(run / "diagnosis.json", dataclasses.replace(diagnosis(), weights="d" * 64))
    first = make_report([run]).sections[0].blocks[0]
    assert isinstance(first, Verdict) and "of other weights" in first.text


def test_a_diagnosis_of_another_text_and_a_tuned_search_are_said(tmp_path: Path) -> None:
    run = make_diagnosed_run(tmp_path / "run")
    assert "tuned" not in texts(make_report([run]))
    write_record(run / "diagnosis.json", dataclasses.replace(diagnosis(), split="train"))
    metrics = json.loads((run / "model" / "metrics.json").read_text())
    metrics["tuned"] = {"split": "validation", "beam_size": 12, "length_penalty": 0.25}
    metrics["tuned"] |= {"bleu": 30.5, "signature": "s"}
    (run / "model" / "metrics.json").write_text(json.dumps(metrics))
    report = make_report([run])
    assert "of sentences of train, not of its validation split" in texts(report)
    assert "tuned after training, to beam size 12 and length penalty 0.25" in texts(report)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("diagnosis.json", '{"split": "validation"}'),
        ("diagnosis.json", "{"),
        ("environment.json", "[]"),
        ("scores.test.json", '{"bleu": {"score": 1}}'),
        ("translations.test.jsonl", '{"source": "a", "reference": "b"}\n'),
        ("translations.test.jsonl", '{"source": "a", "reference": "b", "hypothesis": 3}\n'),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: str) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    (run / name).write_text(content)
    with pytest.raises(DataError, match=name):
        make_report([run])


@pytest.mark.parametrize(
    ("reference", "hypothesis", "language", "left", "right"),
    [
        ("a b c", "a x c", "en", "a {+b+} c", "a [-x-] c"),
        ("a b", "a b", "en", "a b", "a b"),
        ("a b", "", "en", "{+a b+}", "(empty)"),
        ("", "a", "en", "(empty)", "[-a-]"),
        ("a b c d", "b  c e f", "de", "{+a+} b c {+d+}", "b c [-e f-]"),
        ("你好吗", "你很好", "zh-CN", "你好{+吗+}", "你[-很-]好"),
    ],
)
def test_the_difference_is_marked(
    reference: str, hypothesis: str, language: str, left: str, right: str
) -> None:
    frames = {"": "{}", "insert": "{{+{}+}}", "delete": "[-{}-]"}
    shown = [
        "".join(frames[mark].format(text) for mark, text in spans)
        for spans in marked(reference, hypothesis, language)
    ]
    assert shown == [left, right]


def test_gradients_that_vanish_or_explode_are_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    one = flow()
    for norms in ([[0.0, None]], [[math.inf, math.nan, 1.0]], [[2.0, 2.0]], []):
        row = norms[0] if norms else []
        state = dataclasses.replace(one.states[0], norms=norms, by_distance=row, kept_per_step=None)
        odd = dataclasses.replace(one, states=[state], sums=[])
        write_record(run / "diagnosis.json", dataclasses.replace(diagnosis(), flows=[odd]))
        for figure in make_report([run]).figures():
            if figure.name.startswith(("map", "flow")):
                assert "<svg" in inline_svg(figure)


def test_what_a_trained_model_began_as_is_folded_away(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    flows = [flow("tanh", "trained", 0.25), flow("tanh", "start", 0.75)]
    write_record(run / "diagnosis.json", dataclasses.replace(diagnosis(), flows=flows))
    section = gradients(read_runs([run]))
    seen = [block.text for block in section.blocks if isinstance(block, Verdict)]
    assert seen and all(text.startswith("tanh, trained: ") for text in seen)
    _, start = (block for block in section.blocks if isinstance(block, Details))
    assert start.title.startswith("tanh, start")
    assert any(isinstance(block, Verdict) for block in start.blocks)


def test_a_diagnosis_with_a_wrong_kind_of_value_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    wrong: Any = {"reach": "much"}
    flows = [dataclasses.replace(flow("tanh", "start", 0.25), **wrong)]
    write_record(run / "diagnosis.json", dataclasses.replace(diagnosis(), flows=flows))
    with pytest.raises(DataError, match=r"'much'.* float"):
        read_runs([run])


def test_a_model_has_one_colour_in_all_comparisons() -> None:
    from matplotlib.figure import Figure as Canvas

    bag = flow("lstm", "trained", 0.75)
    decoder = next(each for each in bag.states if each.network == "decoder")
    encoder = dataclasses.replace(decoder, network="encoder")
    bag = dataclasses.replace(bag, states=[decoder])
    tanh = dataclasses.replace(bag, states=[encoder, decoder])
    colours = []
    for figure in compared([("bag", bag), ("tanh", tanh)]):
        assert isinstance(figure, Figure)
        axes = Canvas().add_subplot()
        figure.draw(axes)
        (own,) = (line for line in axes.lines if "tanh" in str(line.get_label()))
        colours.append(own.get_color())
    assert len(colours) == 2 and colours[0] == colours[1]
