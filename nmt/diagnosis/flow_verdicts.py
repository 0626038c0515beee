"""Verdicts on gradient flow, as sentences for people."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

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
_SHORTCUTS = {
    "the fed context": "model.feed_context true",
    "attention": "model.attention additive",
}


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
    if FAINT <= reach <= 1 / FAINT:
        return Verdict("good", f"{text}.")
    if reach > 1:
        text += f": near words drown in far ones{_advice(_calmer(config))}."
        return Verdict("warning" if reach <= 1 / LOST else "bad", text)
    missing = [key for name, key in _SHORTCUTS.items() if not active[name]]
    if not (config.bidirectional or config.reverse_source):
        missing.append("model.bidirectional true")
    advice = _advice([*_other_cell(config), *missing])
    if reach >= LOST:
        return Verdict("warning", f"{text}: long distances will be learned slowly{advice}.")
    return Verdict("bad", f"{text}: expect no long-distance learning{advice}.")


def _decay(config: ModelConfig, decay: Decay) -> Verdict:
    """Judge the path along one network."""
    assert decay.factor is not None
    network, left = _capital(decay.network), decay.left
    sentence = f"over a mean sentence of {decay.steps:.0f} steps"
    if decay.factor == 0:
        advice = _advice(_other_cell(config))
        return Verdict("bad", f"{network}: no gradient gets past a single step{advice}.")
    if 0.5 < left < 2:
        text = f"{network}: the fitted decay leaves {percent(left)} of the gradient {sentence}"
    elif left < 1:
        steps = -math.log(2) / math.log(decay.factor)
        text = f"{network}: the gradient halves every {steps:.1f} steps (fitted)"
        text += f"; {sentence} {percent(left)} is left"
    else:
        steps = math.log(2) / math.log(decay.factor)
        text = f"{network}: the gradient doubles every {steps:.1f} steps (fitted)"
        text += f"; {sentence} it grows {left:.3g}-fold"
    if FAINT <= left <= 1 / FAINT:
        return Verdict("good", f"{text}.")
    remedies = _other_cell(config) if left < 1 else _calmer(config)
    if LOST <= left <= 1 / LOST:
        word = "fades" if left < 1 else "swells"
        return Verdict("warning", f"{text}: it {word}{_advice(remedies)}.")
    word = "vanishes" if left < 1 else "explodes"
    return Verdict("bad", f"{text}: it {word}{_advice(remedies)}.")


def _gates(decays: list[Decay], gates: list[GateStatistics]) -> Iterator[Verdict]:
    """Judge the units' time constants and the gates that are shut.

    Cells read new inputs at every step, so short time constants are normal; they are a fault if the
    gradient is lost as well.
    """
    constants, lost = [], False
    for decay in decays:
        keeping = [gate for gate in gates if gate.network == decay.network and gate.time_constants]
        steps = max(
            (gate.time_constants[-1] for gate in keeping if gate.time_constants), default=None
        )
        if steps is not None:
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


def _other_cell(config: ModelConfig) -> list[str]:
    return [] if config.cell == "lstm" else ["model.cell lstm"]


def _calmer(config: ModelConfig) -> list[str]:
    return [*_other_cell(config), "a smaller training.clip_norm"]


def _advice(remedies: list[str]) -> str:
    return f"; try {', '.join(remedies)}" if remedies else ""


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
