"""From a bag of words to gates: each step of the argument, judged by what was measured.

A score is better than another where their 95 % intervals do not touch; where they do, nothing is
claimed.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from nmt.diagnosis.study import LengthScore, StudyRow, StudyStep
from nmt.evaluation.metrics import Score
from nmt.log import percent

PLAIN, GATED = ("tanh", "relu"), ("gru", "lstm")
_LOSES = "A plain network keeps the order, and loses long sentences."
_BLIND = 0.5
"""BLEU that shuffling may change where order is not seen: ties of a search may fall otherwise."""


def argument(rows: Sequence[StudyRow]) -> list[StudyStep]:
    """Go through the argument, as far as there are models for it."""
    by_name = {row.name: row for row in rows}
    windows = [row for row in rows if row.encoder == "window"]
    wordwise = [row for row in rows if row.encoder != "rnn"]
    recurrent = [row for row in rows if row.encoder == "rnn"]
    ordered = _best(recurrent)
    plain, gated = (
        _best([row for row in recurrent if row.cell in kind]) for kind in (PLAIN, GATED)
    )
    steps: list[StudyStep] = []
    if "bag" in by_name and ordered:
        steps.append(_order(by_name["bag"], ordered))
    if windows and ordered:
        steps.append(_window(windows, ordered))
    if "tanh" in by_name:
        steps.append(_forgetting(by_name["tanh"], _best(wordwise), gated))
    if "tanh" in by_name and "relu" in by_name:
        steps.append(_identity(by_name["tanh"], by_name["relu"]))
    if plain and gated:
        steps.append(_gates(plain, gated))
    if gated:
        steps.append(_bottleneck(gated))
    return steps


def _order(bag: StudyRow, ordered: StudyRow) -> StudyStep:
    text = (
        f"With the words of each source shuffled, the bag of words has BLEU {_b(bag.shuffled)} "
        f"where it had {_b(bag.test)}, and {ordered.name} {_b(ordered.shuffled)} where it had "
        f"{_b(ordered.test)}."
    )
    blind = abs(bag.shuffled.score - bag.test.score) <= _BLIND
    outcome = _outcome(1 if blind else -1, _compared(ordered.test, bag.test))
    gain = ordered.test.score - bag.test.score
    text += {
        "holds": f" What the bag cannot see, the order, is worth {gain:.1f} BLEU.",
        "undecided": " With and without order, the intervals overlap: order is not seen to matter.",
        "fails": f" Reading in order gives {gain:+.1f} BLEU: this bears out nothing."
        if blind
        else " Shuffling changes what the bag writes: it is no bag.",
    }[outcome]
    return StudyStep("A bag of words cannot see order.", outcome, text)


def _window(windows: list[StudyRow], ordered: StudyRow) -> StudyStep:
    widest = windows[-1]
    parts = [f"{row.name} goes {_way(row)}" for row in (*windows, ordered)]
    text = f"From {_span(_short(widest))} to {_span(_far(widest))}, {', '.join(parts)}."
    outcome = _outcome(*_fall(widest, ordered))
    text += {
        "holds": " What stands before a window is not seen, and long sentences lose most by it.",
        "undecided": f" The intervals of {widest.name} overlap: no fall is seen.",
        "fails": f" {widest.name} does not fall more than {ordered.name}, which reads every word.",
    }[outcome]
    return StudyStep("A window sees only the end.", outcome, text)


def _forgetting(tanh: StudyRow, wordwise: StudyRow | None, gated: StudyRow | None) -> StudyStep:
    text = ""
    if wordwise:
        relation = _relation(_compared(tanh.test, wordwise.test))
        text = (
            "Reading every word in order with the same weights, the plain network has BLEU "
            f"{_b(tanh.test)}, {relation} {wordwise.name} with {_b(wordwise.test)}. "
        )
    others = [gated] if gated else []
    parts = [f"{row.name} goes {_way(row)}" for row in (tanh, *others)]
    text += f"From {_span(_short(tanh))} to {_span(_far(tanh))}, {' and '.join(parts)}."
    text += _reach([tanh, *others])
    if gated is None:
        outcome = _outcome(*_fall(tanh, None))
        text += {
            "holds": " The plain network forgets what it read first.",
            "undecided": " The intervals overlap: no forgetting is seen.",
            "fails": " The plain network is not seen to forget: its BLEU does not fall.",
        }[outcome]
        return StudyStep(_LOSES, outcome, text)
    outcome = _outcome(_compared(_far(gated).bleu, _far(tanh).bleu))
    text += {
        "holds": f" The plain network loses long sentences, {gated.name} does not lose them so.",
        "undecided": " On long sentences the intervals overlap: no loss is seen.",
        "fails": " The plain network is ahead on long sentences.",
    }[outcome]
    if outcome == "holds" and _compared(_short(gated).bleu, _short(tanh).bleu) > 0:
        text += " On short ones it is behind, too: it has not learned even these as well."
    return StudyStep(_LOSES, outcome, text)


def _identity(tanh: StudyRow, relu: StudyRow) -> StudyStep:
    return _longest(
        "A relu that starts from the identity helps.",
        (relu, "relu that starts from the identity"),
        (tanh, "tanh"),
        {
            "holds": "A state that is carried on unchanged keeps more.",
            "undecided": "The intervals overlap: on long sentences no difference is seen.",
            "fails": "Here it does not help: relu is behind.",
        },
    )


def _gates(plain: StudyRow, gated: StudyRow) -> StudyStep:
    return _longest(
        "Gates keep what plain cells forget.",
        (gated, gated.name),
        (plain, f"{plain.name}, the best without gates,"),
        {
            "holds": "Gates keep what long sentences need.",
            "undecided": "The intervals overlap: on long sentences gates are not seen to help.",
            "fails": "Here gates do not help: the cell without is ahead.",
        },
    )


def _longest(
    claim: str, ahead: tuple[StudyRow, str], behind: tuple[StudyRow, str], told: dict[str, str]
) -> StudyStep:
    """Compare two rows, each with what to call it, on the longest sentences of test."""
    (one, name), (other, other_name) = ahead, behind
    near, far = _far(other).bleu, _far(one).bleu
    text = (
        f"On {_span(_far(one))}, {name} has BLEU {_b(far)}, and {other_name} {_b(near)}; "
        f"on all of test {_b(one.test)} and {_b(other.test)}."
    )
    text += _reach([one, other])
    outcome = _outcome(_compared(far, near))
    return StudyStep(claim, outcome, f"{text} {told[outcome]}")


def _bottleneck(gated: StudyRow) -> StudyStep:
    far = _far(gated)
    last = gated.lengths[-1]
    text = (
        f"{gated.name} hands over {gated.state_size} numbers for every sentence. Its BLEU is "
        f"{_b(far.bleu)} on {_span(far)} of test, {_b(gated.long)} on long, whose sentences are "
        f"longer than any in training, and {_b(last.bleu)} on its {_span(last)}."
    )
    outcome = _outcome(_compared(far.bleu, gated.long))
    text += {
        "holds": " Gates do not lift the limit: of longer sentences less gets through.",
        "undecided": " The intervals overlap: no limit is seen.",
        "fails": " Longer sentences are no worse: no limit is seen.",
    }[outcome]
    return StudyStep("A final state of fixed size remains a bottleneck.", outcome, text)


def _best(rows: Sequence[StudyRow]) -> StudyRow | None:
    return max(rows, key=lambda row: row.test.score, default=None)


def _short(row: StudyRow) -> LengthScore:
    return row.lengths[0]


def _far(row: StudyRow) -> LengthScore:
    """Return the longest sentences that are as long as some in training."""
    return [one for one in row.lengths if one.split == "test"][-1]


def _fall(row: StudyRow, other: StudyRow | None) -> Iterator[int]:
    """Compare short with long sentences, and the fall with another's."""
    yield _compared(_short(row).bleu, _far(row).bleu)
    if other:
        falls = [_short(one).bleu.score - _far(one).bleu.score for one in (row, other)]
        yield 1 if falls[0] > falls[1] else -1


def _compared(one: Score, other: Score) -> int:
    """Return 1 where the first is better, -1 where it is worse, 0 where intervals touch."""
    return int(one.low > other.high) - int(one.high < other.low)


def _outcome(*signs: int) -> Literal["holds", "undecided", "fails"]:
    """All must be for it; one that is against it decides."""
    return "fails" if min(signs) < 0 else "holds" if min(signs) > 0 else "undecided"


def _relation(sign: int) -> str:
    return {1: "more than", 0: "not clearly other than", -1: "less than"}[sign]


def _reach(rows: list[StudyRow]) -> str:
    """Tell how much gradient arrives at the first word, of rows where that was measured."""
    measured = [(row.name, row.flow.reach if row.flow else None) for row in rows]
    parts = [f"{percent(share)} ({name})" for name, share in measured if share is not None]
    if not parts:
        return ""
    return f" Of the last word's gradient, {' and '.join(parts)} is left at the first source word."


def _way(row: StudyRow) -> str:
    return f"from BLEU {_b(_short(row).bleu)} to {_b(_far(row).bleu)}"


def _span(group: LengthScore) -> str:
    return f"sentences of {group.first} to {group.last} words"


def _b(score: Score) -> str:
    return f"{score.score:.1f}"
