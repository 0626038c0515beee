"""Verdicts on gradient flow, as sentences for people."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nmt.config import ModelConfig
from nmt.diagnosis.records import GateStatistics, GradientSum, Verdict
from nmt.log import percent

FAINT = 0.02
"""Share of a gradient below which it is lost, across a sentence, in the noise of near words: about
1/√(target tokens of an update), for some 3,000 tokens."""
LOST = 0.001
"""Share below which it stays lost even if the noise is averaged over hundreds of updates. Gradients
that grow by the inverse of either number drown the near words instead."""
SATURATED = 0.9
"""Share of closed values from which a gate counts as shut."""
EXACT = 1e-6
"""Largest relative error of a sum over time; rounding in double precision causes about 1e-14."""
_MOST = 700.0
"""Logarithm of the largest growth that a float represents."""
_SHORTCUTS = {"the fed context": "model.feed_context true", "attention": "model.attention additive"}

_CHANGES = {"warning": ("fades", "swells"), "bad": ("vanishes", "explodes")}


@dataclass(frozen=True)
class Decay:
    """The change of the gradient along one network.

    Attributes:
        network: as in the records.
        factor: of one step, over all layers' states together; None if no sentence has two steps.
        steps: mean length of a sentence on this side.
    """

    network: str
    factor: float | None
    steps: float

    @property
    def left(self) -> float:
        """Factor over a mean sentence."""
        if not self.factor:
            return 0.0 if self.factor == 0 else 1.0
        return math.exp(min(self.steps * math.log(self.factor), _MOST))


def flow_verdicts(
    config: ModelConfig,
    decays: list[Decay],
    reach: float | None,
    gates: list[GateStatistics],
    sums: list[GradientSum],
) -> list[Verdict]:
    """Return the verdicts on the numbers of a `GradientFlow`, the headline first."""
    return [
        *([] if reach is None else [_reach(config, reach)]),
        *(_decay(config, decay) for decay in decays if decay.factor is not None),
        *_gates(decays, gates),
        _sums(sums),
    ]


def _reach(config: ModelConfig, reach: float) -> Verdict:
    """Judge the path from the last target word to the first source word."""
    active = {"the fed context": config.feed_context, "attention": config.attention != "none"}
    shortcuts = [name for name in active if active[name]]
    left = f"{percent(reach)} of the gradient is left"
    change = left if reach <= 1 else f"the gradient grows {reach:.3g}-fold"
    text = f"From the last target word to the first source word {change}"
    if shortcuts:
        verb = "is a shortcut" if len(shortcuts) == 1 else "are shortcuts"
        text += f"; {' and '.join(shortcuts)} {verb}"
    level = _level(reach)
    if level != "good" and reach > 1:
        text += f": near words drown in far ones{_advice(_calmer(config))}"
    elif level != "good":
        missing = [key for name, key in _SHORTCUTS.items() if not active[name]]
        if not (config.bidirectional or config.reverse_source):
            missing.append("model.bidirectional true")
        outlook = "long distances will be learned slowly"
        if level == "bad":
            outlook = "expect no long-distance learning"
        text += f": {outlook}{_advice([*_other_cell(config), *missing])}"
    return Verdict(level, f"{text}.")


def _decay(config: ModelConfig, decay: Decay) -> Verdict:
    """Judge the path along one network."""
    assert decay.factor is not None
    network, left = _capital(decay.network), decay.left
    span = f"over a mean sentence of {decay.steps:.0f} steps"
    if decay.factor == 0:
        advice = _advice(_other_cell(config))
        return Verdict("bad", f"{network}: no gradient gets past a single step{advice}.")
    if 0.5 < left < 2:
        text = f"{network}: the fitted decay leaves {percent(left)} of the gradient {span}"
    else:
        verb, change = "halves", f"{percent(left)} is left"
        if left > 1:
            verb, change = "doubles", f"it grows {left:.3g}-fold"
        steps = math.log(2) / abs(math.log(decay.factor))
        text = f"{network}: the gradient {verb} every {steps:.1f} steps (fitted); {span} {change}"
    level = _level(left)
    if level != "good":
        remedies = _other_cell(config) if left < 1 else _calmer(config)
        text += f": it {_CHANGES[level][left > 1]}{_advice(remedies)}"
    return Verdict(level, f"{text}.")


def _gates(decays: list[Decay], gates: list[GateStatistics]) -> Iterator[Verdict]:
    """Judge the units' time constants and the gates that are shut.

    Cells read new inputs at every step, so short time constants are normal; they are a fault if the
    gradient is lost as well.
    """
    constants, lost = [], False
    for decay in decays:
        own = [gate.time_constants for gate in gates if gate.network == decay.network]
        slowest = [times[-1] for times in own if times]
        if slowest:
            steps = max(slowest)
            constants.append(f"{steps:.1f} ({decay.network})")
            lost = lost or (decay.left < FAINT and decay.steps > -math.log(FAINT) * steps)
    if constants:
        name = next(gate.gate for gate in gates if gate.time_constants)
        yield Verdict(
            "warning" if lost else "good",
            f"By the {name} gates alone, the slowest 5 % of a layer's units have a time constant "
            f"above this number of steps: {', '.join(constants)}.",
        )
    for gate in gates:
        if not gate.time_constants and gate.closed > SATURATED:
            yield Verdict(
                "warning",
                f"{_capital(gate.network)}, layer {gate.layer}: {percent(gate.closed)} of the "
                f"{gate.gate} gates' values are shut; units behind them hardly learn.",
            )


def _sums(sums: list[GradientSum]) -> Verdict:
    """Judge the arithmetic."""
    worst = max(sums, key=lambda each: each.relative_error)
    if worst.relative_error <= EXACT:
        return Verdict(
            "good",
            "The gradient of every recurrent matrix is the sum over time of its shares: it differs "
            f"from autograd's by {worst.relative_error:.1g} of its size at most.",
        )
    return Verdict(
        "bad",
        f"The gradient of {worst.parameter} is not the sum over time of its shares: it differs by "
        f"{worst.relative_error:.1g} of its size.",
    )


def _level(share: float) -> Literal["good", "warning", "bad"]:
    """Judge the share of a gradient that is left, or its growth."""
    if FAINT <= share <= 1 / FAINT:
        return "good"
    return "warning" if LOST <= share <= 1 / LOST else "bad"


def _other_cell(config: ModelConfig) -> list[str]:
    return [] if config.cell == "lstm" else ["model.cell lstm"]


def _calmer(config: ModelConfig) -> list[str]:
    return [*_other_cell(config), "a smaller training.clip_norm"]


def _advice(remedies: list[str]) -> str:
    return f"; try {', '.join(remedies)}" if remedies else ""


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
