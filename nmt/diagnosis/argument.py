"""The argument from a bag of words to gates: each step is judged by 95 % intervals.

Two scores differ if their intervals do not overlap; otherwise a step is undecided.
"""

from collections.abc import Sequence

from nmt.diagnosis.records import Verdict
from nmt.diagnosis.study_records import StudyRow
from nmt.evaluation.metrics import Score

PLAIN, GATED = ("tanh", "relu"), ("gru", "lstm")
_BLIND = 0.5
"""BLEU by which shuffled words may change a bag: near ties in the search can flip."""


def argument(rows: Sequence[StudyRow]) -> list[Verdict]:
    """Return the steps whose models are trained: claim, outcome and numbers of each."""
    named = {row.name: row for row in rows}

    def best(*names: str) -> StudyRow | None:
        known = [named[name] for name in names if name in named]
        return max(known, key=lambda row: row.test.score, default=None)

    top, gated, bag, window = best(*PLAIN, *GATED), best(*GATED), best("bag"), best("window 7")
    steps = [_order(bag, top)] if bag and top else []
    for claim, ahead, behind in (
        ("A window loses what stands before it.", top, window),
        ("A plain network loses long sentences.", gated, best("tanh")),
        ("A relu that starts from the identity helps.", best("relu"), best("tanh")),
        ("Gates keep what plain cells forget.", gated, best(*PLAIN)),
    ):
        if ahead and behind:
            longest, other = ahead.test_lengths[-1], behind.test_lengths[-1]
            text = f"{ahead.name} has BLEU {_b(longest.bleu)}, {behind.name} {_b(other.bleu)}."
            span = f"On sentences of {longest.first} to {longest.last} words,"
            steps.append(_step(claim, f"{span} {text}", _compared(longest.bleu, other.bleu)))
    if gated:
        far = gated.test_lengths[-1]
        span = f"on sentences of {far.first} to {far.last} words"
        text = f"{gated.name} has BLEU {_b(far.bleu)} {span}, {_b(gated.long)} on longer ones."
        claim = "A final state of fixed size remains a bottleneck."
        steps.append(_step(claim, text, _compared(far.bleu, gated.long)))
    return steps


def _order(bag: StudyRow, top: StudyRow) -> Verdict:
    text = (
        f"With shuffled words, {bag.name} goes from BLEU {_b(bag.test)} to {_b(bag.shuffled)}, "
        f"{top.name} from {_b(top.test)} to {_b(top.shuffled)}."
    )
    blind = 1 if abs(bag.shuffled.score - bag.test.score) <= _BLIND else -1
    return _step("A bag of words cannot see order.", text, blind, _compared(top.test, bag.test))


def _compared(first: Score, second: Score) -> int:
    """Return 1 if the first is better, -1 if it is worse, 0 if the intervals overlap."""
    return int(first.low > second.high) - int(first.high < second.low)


def _step(claim: str, text: str, *signs: int) -> Verdict:
    """Return a step that holds if all signs are positive, and fails if any is negative."""
    if min(signs) < 0:
        return Verdict("bad", f"{claim} Fails. {text}")
    if min(signs) == 0:
        return Verdict("warning", f"{claim} Undecided. {text}")
    return Verdict("good", f"{claim} Holds. {text}")


def _b(score: Score) -> str:
    return f"{score.score:.1f}"
