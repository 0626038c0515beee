"""The records of diagnosis, in plain numbers and text; `nmt.report` draws them.

Networks are named "encoder", "encoder, backwards" (the second direction) and "decoder". Layers
count from 1, which is next to the words. Losses are in nats.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from nmt.storage import atomic_write


@dataclass(frozen=True)
class Verdict:
    """One sentence for people about a model or a run, with its level."""

    level: Literal["good", "warning", "bad"]
    text: str


@dataclass(frozen=True)
class StateFlow:
    """Norms of the gradients of the losses by the states of one layer, and their decay."""

    network: str
    layer: int
    state: Literal["hidden", "cell"]
    norms: list[list[float | None]]
    """`[t][k]`: mean norm of ∂L_t/∂state_k over the sentences that have both steps; None if no
    sentence has. Decoder: k is the target step, k ≤ t. Encoder: k counts steps back from the final
    state, which is 0."""
    by_distance: list[float | None]
    """Mean norm by distance, from 0: t − k in the decoder, k in the encoder."""
    kept_per_step: float | None
    """Factor by which `by_distance` changes from one step to the next, fitted to the logarithms."""


@dataclass(frozen=True)
class GateStatistics:
    """Statistics of one gate of a layer, over all its units and real steps."""

    network: str
    layer: int
    gate: str
    """As the cell names it: input, forget, output, reset or update in ours."""
    mean: float
    closed: float
    """Share of the values below 0.1."""
    open: float
    """Share of the values above 0.9."""
    time_constants: list[float] | None
    """For the gate that keeps the state (LSTM: forget, GRU: update): steps until a unit's state
    has decayed to 1/e, at the 5th, 25th, 50th, 75th and 95th percentile of the units."""


@dataclass(frozen=True)
class GradientSum:
    """The gradient of one recurrent matrix as a sum over time, compared with autograd's own."""

    parameter: str
    by_distance: list[float]
    """Norm of the gradient's share from losses this many steps ahead, from 0."""
    relative_error: float
    """Norm of sum − autograd's gradient, as a share of the latter's norm."""


@dataclass(frozen=True)
class GradientFlow:
    """The gradient flow of a model at one moment."""

    cell: str
    moment: str
    """Such as "start", "trained" or "after 300 updates"."""
    sentences: int
    states: list[StateFlow]
    reach: float | None
    """Norm of the last loss's gradient at the first source word ÷ its norm at the last target
    step's own state; all layers and directions together. None for an encoder without recurrence."""
    gates: list[GateStatistics]
    sums: list[GradientSum]
    verdicts: list[Verdict]


@dataclass(frozen=True)
class PositionLoss:
    """The loss of the tokens at one position of the target sentences."""

    position: int
    """From 1."""
    loss: float
    tokens: int


@dataclass(frozen=True)
class FrequencyLoss:
    """The loss of the target tokens in one band of training frequency."""

    first: int
    """Fewest occurrences in the targets of training."""
    last: int
    """Most occurrences."""
    loss: float
    tokens: int


@dataclass(frozen=True)
class Probe:
    """Loss and BLEU of a model with changed decoder inputs."""

    name: str
    """Such as "intact", "zeroed", "shuffled", "noise 0.5", "8 components" or "without layer 2's
    cell"."""
    loss: float
    """Per target token."""
    bleu: float


@dataclass(frozen=True)
class StateProbes:
    """The probes of how the decoder uses the encoder's final state."""

    sentences: int
    probes: list[Probe]
    """The first one changes nothing."""
    verdicts: list[Verdict]


@dataclass(frozen=True)
class StatePoint:
    """A sentence on the map of final states."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class StateMap:
    """Final states of chosen sentences on their first two principal components."""

    points: list[StatePoint]
    explained: list[float]
    """Share of the variance along x and y."""


@dataclass(frozen=True)
class ScoredText:
    """One of several translations of a sentence."""

    text: str
    score: float
    """Log-probability, the end token included."""


@dataclass(frozen=True)
class Sample:
    """A chosen sentence with its likeliest translations."""

    source: str
    reference: str
    candidates: list[ScoredText]
    """The best first."""
    source_pieces: list[str]
    """The end token last."""
    target_pieces: list[str]
    """Of the best translation, the end token last."""
    alignment: list[list[float]] | None
    """Weights of attention, `[target piece][source piece]`; None without attention."""


@dataclass(frozen=True)
class Diagnosis:
    """The full diagnosis of one model."""

    split: str
    weights: str
    """SHA-256 of the diagnosed weights; empty for a model before its training."""
    flows: list[GradientFlow]
    losses: list[PositionLoss] = field(default_factory=list)
    frequencies: list[FrequencyLoss] = field(default_factory=list)
    """Empty if the model has no token counts of its training."""
    probes: StateProbes | None = None
    states: StateMap | None = None
    samples: list[Sample] = field(default_factory=list)


def write_record(path: Path, record: Any) -> None:
    """Write a record as JSON, atomically."""
    with atomic_write(path) as stream:
        stream.write(json.dumps(asdict(record), ensure_ascii=False).encode() + b"\n")
