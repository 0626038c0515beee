"""The argument says what planted numbers say, and the opposite where they say the opposite."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nmt.diagnosis.argument import argument
from nmt.diagnosis.records import GradientFlow
from nmt.diagnosis.study import LengthScore, StudyRow, StudyStep
from nmt.evaluation.metrics import Score

GROUPS = [("test", 3, 5), ("test", 6, 10), ("test", 11, 13), ("long", 14, 20)]


def score(value: float, half: float = 2.0) -> Score:
    return Score(value, value - half, value + half, "signature")


def row(
    name: str, by_length: Sequence[float], test: float, shuffled: float, encoder: str = "rnn"
) -> StudyRow:
    return StudyRow(
        name=name,
        encoder=encoder,  # type: ignore[arg-type]
        cell=name if encoder == "rnn" else "lstm",
        state_size=512 if name == "lstm" else 256,
        parameters=1000,
        minutes=1.0,
        test=score(test),
        long=score(by_length[-1]),
        shuffled=score(shuffled),
        lengths=[
            LengthScore(*group, 100, score(value))
            for group, value in zip(GROUPS, by_length, strict=True)
        ],
        flow=None,
    )


def flow(reach: float) -> GradientFlow:
    return GradientFlow("tanh", "trained", 5, [], [], reach, [], [], [])


LECTURE = {
    "bag": row("bag", [60, 30, 10, 5], 30, 30.2, "bag"),
    "window 2": row("window 2", [40, 20, 10, 6], 22, 9, "window"),
    "window 7": row("window 7", [85, 60, 25, 9], 57, 12, "window"),
    "tanh": row("tanh", [94, 70, 41, 10], 66, 11),
    "relu": row("relu", [91, 80, 63, 15], 78, 12),
    "gru": row("gru", [95, 93, 88, 35], 92, 14),
    "lstm": row("lstm", [96, 95, 93, 40], 94, 13),
}


def steps(**other: StudyRow) -> list[StudyStep]:
    named = {name.replace("_", " "): changed for name, changed in other.items()}
    return argument([*(LECTURE | named).values()])


def test_numbers_as_the_lecture_has_them_bear_out_every_step() -> None:
    found = steps()
    assert [step.outcome for step in found] == ["holds"] * 6
    order, window, forgetting, identity, gates, bottleneck = (step.text for step in found)
    assert "the bag of words has BLEU 30.2 where it had 30.0, and lstm 13.0 where it" in order
    assert "is worth 64.0 BLEU" in order
    assert "window 2 goes from BLEU 40.0 to 10.0, window 7 goes from BLEU 85.0 to 25.0" in window
    assert "From sentences of 3 to 5 words to sentences of 11 to 13 words" in window
    assert "has BLEU 66.0, more than window 7 with 57.0" in forgetting
    assert "tanh goes from BLEU 94.0 to 41.0 and lstm goes from BLEU 96.0 to 93.0" in forgetting
    assert forgetting.endswith("loses long sentences, lstm does not lose them so.")
    assert "relu that starts from the identity has BLEU 63.0, and tanh 41.0" in identity
    assert "lstm has BLEU 93.0, and relu, the best without gates, 63.0" in gates
    assert "512 numbers" in bottleneck and "93.0 on sentences of 11 to 13" in bottleneck
    assert "40.0 on long" in bottleneck and "of longer sentences less gets through" in bottleneck


@pytest.mark.parametrize(
    ("number", "changed", "outcome", "told"),
    [
        (0, row("bag", [99, 99, 99, 90], 99, 99, "bag"), "fails", "-5.0 BLEU: this bears out"),
        (0, row("bag", [99, 98, 98, 90], 93, 93, "bag"), "undecided", "not seen to matter"),
        (0, row("bag", [60, 30, 10, 5], 30, 20, "bag"), "fails", "it is no bag"),
        (1, row("window 7", [96, 95, 92.5, 40], 95, 9, "window"), "undecided", "no fall is seen"),
        (1, row("window 7", [80, 85, 90, 9], 85, 9, "window"), "fails", "does not fall more"),
        (2, row("tanh", [94, 93, 90.5, 30], 93, 9), "undecided", "no loss is seen"),
        (2, row("tanh", [80, 85, 98, 30], 85, 9), "fails", "is ahead on long sentences"),
        (2, row("tanh", [3, 5, 11, 1], 7, 1), "holds", "it has not learned even these as well"),
        (3, row("relu", [91, 80, 20, 15], 60, 12), "fails", "does not help: relu is behind"),
        (3, row("relu", [91, 80, 43, 15], 60, 12), "undecided", "no difference is seen"),
        (4, row("relu", [91, 95, 99, 15], 95, 12), "fails", "gates do not help: the cell"),
        (4, row("relu", [91, 95, 91, 15], 93, 12), "undecided", "gates are not seen to help"),
        (5, row("lstm", [96, 95, 93, 98], 94, 13), "fails", "no worse: no limit is seen"),
        (5, row("lstm", [96, 95, 93, 91], 94, 13), "undecided", "no limit is seen"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_numbers_that_say_something_else_are_told_so(
    number: int, changed: StudyRow, outcome: str, told: str
) -> None:
    step = steps(**{changed.name.replace(" ", "_"): changed})[number]
    assert step.outcome == outcome and told in step.text
    assert step.claim == steps()[number].claim  # which is judged, not changed


@pytest.mark.parametrize(
    ("by_length", "outcome", "told"),
    [
        ([94, 70, 41, 10], "holds", "forgets what it read first"),
        ([94, 93, 92, 10], "undecided", "no forgetting is seen"),
        ([80, 85, 90, 10], "fails", "not seen to forget"),
    ],
)
def test_without_gates_the_fall_alone_counts(
    by_length: list[float], outcome: str, told: str
) -> None:
    step = argument([row("tanh", by_length, 66, 11)])[0]
    assert step.outcome == outcome and told in step.text


def test_a_plain_network_that_a_window_beats_is_said_to_be_beaten() -> None:
    found = steps(tanh=row("tanh", [60, 40, 11, 5], 40, 9))
    assert "has BLEU 40.0, less than window 7 with 57.0" in found[2].text
    assert found[2].outcome == "holds"  # which is another matter
    found = steps(tanh=row("tanh", [80, 60, 11, 5], 58, 9))
    assert "not clearly other than window 7" in found[2].text


def test_gradients_are_told_where_they_were_measured() -> None:
    assert "gradient" not in steps()[2].text
    tanh = replace(LECTURE["tanh"], flow=flow(0.00021))
    lstm = replace(LECTURE["lstm"], flow=flow(0.25))
    text = steps(tanh=tanh, lstm=lstm)[2].text
    assert "0.021 % (tanh) and 25 % (lstm) is left at the first source word" in text
    text = steps(tanh=replace(tanh, flow=flow(1e-9)))[2].text
    assert "<0.001 % (tanh) is left" in text


@pytest.mark.parametrize(
    ("names", "count"),
    [([], 0), (["bag"], 0), (["bag", "tanh"], 2), (["tanh", "relu"], 2), (["gru"], 1)],
)
def test_steps_without_their_models_are_left_out(names: list[str], count: int) -> None:
    assert len(argument([LECTURE[name] for name in names])) == count
