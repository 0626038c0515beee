"""The argument says what planted numbers say, and the opposite where they say the opposite."""

from collections.abc import Sequence

import pytest

from nmt.diagnosis.argument import argument
from nmt.diagnosis.records import GradientFlow, Verdict
from nmt.diagnosis.study_records import StudyRow
from nmt.evaluation.breakdowns import LengthGroup
from nmt.evaluation.metrics import Score


def score(value: float, half: float = 2.0) -> Score:
    return Score(value, value - half, value + half, "signature")


def row(name: str, by_length: Sequence[float], test: float, shuffled: float) -> StudyRow:
    groups = [
        LengthGroup(first, last, 100, score(value), score(50), 1.0)
        for (first, last), value in zip([(3, 5), (6, 10), (11, 13)], by_length[:3], strict=True)
    ]
    long = LengthGroup(14, 20, 100, score(by_length[3]), score(50), 1.0)
    flow = GradientFlow("tanh", "trained", 5, [], None, [], [], [])
    whole = (score(test), score(by_length[3]), score(shuffled))
    return StudyRow(name, 256, 1000, *whole, groups, [long], flow)


LECTURE = {
    "bag": row("bag", [60, 30, 10, 5], 30, 30.2),
    "window 2": row("window 2", [40, 20, 10, 6], 22, 9),
    "window 7": row("window 7", [85, 60, 25, 9], 57, 12),
    "tanh": row("tanh", [94, 70, 41, 10], 66, 11),
    "relu": row("relu", [91, 80, 63, 15], 78, 12),
    "gru": row("gru", [95, 93, 88, 35], 92, 14),
    "lstm": row("lstm", [96, 95, 93, 40], 94, 13),
}


def steps(*changed: StudyRow) -> list[Verdict]:
    return argument([*(LECTURE | {one.name: one for one in changed}).values()])


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, ["bag", "30.0", "30.2", "lstm", "94.0", "13.0"]),
        (1, ["lstm", "93.0", "window 7", "25.0", "11 to 13"]),
        (2, ["lstm", "93.0", "tanh", "41.0", "11 to 13"]),
        (3, ["relu", "63.0", "tanh", "41.0", "11 to 13"]),
        (4, ["lstm", "93.0", "relu", "63.0", "11 to 13"]),
        (5, ["lstm", "93.0", "11 to 13", "40.0"]),
    ],
)
def test_numbers_as_the_lecture_has_them_bear_out_every_step(number: int, words: list[str]) -> None:
    found = steps()
    assert [step.level for step in found] == ["good"] * 6
    text = found[number].text
    places = [text.index(word) for word in words if word != "11 to 13"]
    assert places == sorted(places) and all(word in text for word in words)
    # The claim, its outcome, and one sentence.
    assert text.replace("0.", "").count(". ") == 2


@pytest.mark.parametrize(
    ("number", "changed", "level"),
    [
        (0, row("bag", [99, 99, 99, 90], 99, 99), "bad"),  # ahead of the best
        (0, row("bag", [99, 98, 98, 90], 93, 93), "warning"),
        (0, row("bag", [60, 30, 10, 5], 30, 20), "bad"),  # it sees order
        (1, row("window 7", [96, 95, 92.5, 40], 93, 9), "warning"),
        (1, row("window 7", [80, 85, 98, 9], 85, 9), "bad"),
        (2, row("tanh", [94, 93, 90.5, 30], 93, 9), "warning"),
        (2, row("tanh", [80, 85, 98, 30], 85, 9), "bad"),
        (3, row("relu", [91, 80, 20, 15], 60, 12), "bad"),
        (3, row("relu", [91, 80, 43, 15], 60, 12), "warning"),
        (4, row("relu", [91, 95, 99, 15], 93, 12), "bad"),
        (4, row("relu", [91, 95, 91, 15], 93, 12), "warning"),
        (5, row("lstm", [96, 95, 93, 98], 94, 13), "bad"),
        (5, row("lstm", [96, 95, 93, 91], 94, 13), "warning"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_numbers_that_say_something_else_change_the_outcome(
    number: int, changed: StudyRow, level: str
) -> None:
    step, lecture = steps(changed)[number], steps()[number]
    assert step.level == level
    claim, outcome = step.text.split(". ")[:2]
    assert lecture.text.startswith(f"{claim}. Holds. ")  # which is judged, not changed
    assert outcome == {"bad": "Fails", "warning": "Undecided"}[level]


@pytest.mark.parametrize(
    ("names", "count"),
    [([], 0), (["bag"], 0), (["bag", "tanh"], 1), (["tanh", "relu"], 1), (["gru"], 1)],
)
def test_steps_without_their_models_are_left_out(names: list[str], count: int) -> None:
    assert len(argument([LECTURE[name] for name in names])) == count
