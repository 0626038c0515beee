"""Records of `nmt study`: the scores of one small decoder behind several encoders."""

from dataclasses import dataclass

from nmt.diagnosis.records import GradientFlow, Verdict
from nmt.evaluation.breakdowns import LengthGroup
from nmt.evaluation.metrics import Score

UPDATES = 1500
MODELS = {
    "bag": "--model.encoder bag",
    **{f"window {size}": f"--model.encoder window --model.window {size}" for size in (2, 7)},
    **{cell: f"--model.cell {cell}" for cell in ("tanh", "relu", "gru", "lstm")},
}
"""Name to config keys. A recurrent model has the name of its cell."""


@dataclass(frozen=True)
class StudyRow:
    """One trained model. The encoder's final state is the decoder's only view of the source.

    Attributes:
        name: one of `MODELS`.
        state_size: numbers in the final state, for sentences of any length.
        parameters: number of weights.
        test: BLEU on the test split.
        long: BLEU on the long split.
        shuffled: BLEU on test with shuffled source words.
        test_lengths: scores on test by source length, the shortest first.
        long_lengths: the same on long.
        flow: gradient flow over the longest sentences of test.
    """

    name: str
    state_size: int
    parameters: int
    test: Score
    long: Score
    shuffled: Score
    test_lengths: list[LengthGroup]
    long_lengths: list[LengthGroup]
    flow: GradientFlow


@dataclass(frozen=True)
class Study:
    """All models, trained for `updates` updates each, and the steps of the argument.

    A step is "good" if its claim holds, "bad" if it fails, "warning" if intervals overlap.
    """

    updates: int
    rows: list[StudyRow]
    steps: list[Verdict]
