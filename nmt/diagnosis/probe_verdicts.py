"""Verdicts on the probes of the final state, as sentences for people."""

from collections.abc import Sequence

from nmt.diagnosis.records import Probe, Verdict

NOTHING = 0.05
"""Nats a token below which the cost of a change is negligible."""
_LITTLE = 0.5
_MOST = 0.9  # share of the gain


def probe_verdicts(probes: Sequence[Probe], *, attention: bool) -> list[Verdict]:
    """Judge how the decoder uses the encoder's final state.

    Args:
        probes: the first of the unchanged model; their names are those that `state_probes` gives.
        attention: whether the decoder also reads the source's states.
    """
    intact = probes[0]
    costs = {probe.name: probe.loss - intact.loss for probe in probes}
    shuffled = next(probe for probe in probes if probe.name == "shuffled")
    verdicts = [_use(intact, shuffled, attention)]
    if costs["shuffled"] >= NOTHING:
        verdicts += [*_parts(costs), *_components(costs)]
    return verdicts


def _use(intact: Probe, shuffled: Probe, attention: bool) -> Verdict:
    """Judge whether the decoder uses the final state at all."""
    cost = shuffled.loss - intact.loss
    result = (
        f"Shuffling the final states among sentences costs {_nats(cost)} "
        f"(BLEU {intact.bleu:.1f} → {shuffled.bleu:.1f}): "
    )
    if attention and cost < _LITTLE:
        means = "nearly nothing depends on" if cost < NOTHING else "little depends on"
        return Verdict("good", f"{result}{means} the final state beside attention.")
    if cost < NOTHING:
        return Verdict("bad", f"{result}the decoder ignores its source.")
    if cost < _LITTLE:
        return Verdict("warning", f"{result}the decoder makes little use of its source.")
    return Verdict("good", f"{result}the decoder relies on its source.")


def _parts(costs: dict[str, float]) -> list[Verdict]:
    """Name the part that matters most, and the parts that cost nothing."""
    start = "without "
    parts = {name.removeprefix(start): costs[name] for name in costs if name.startswith(start)}
    if not parts:
        return []
    most = max(parts, key=lambda name: parts[name])
    text = f"Zeroed alone, {most} costs most: {_nats(parts[most])}"
    spared = [name for name, cost in parts.items() if cost < NOTHING]
    if most in spared:
        return [Verdict("good", f"{text}; the others make up for each part.")]
    if spared:
        text += f"; next to nothing: {', '.join(spared)}"
    return [Verdict("good", f"{text}.")]


def _components(costs: dict[str, float]) -> list[Verdict]:
    """Count the directions that hold most of the final state's gain over its mean."""
    cut = {int(name.split()[0]): cost for name, cost in costs.items() if "component" in name}
    mean = cut.pop(0)  # every sentence gets the same
    if mean < NOTHING or not cut:
        return []
    held = {number: 1 - cost / mean for number, cost in cut.items()}
    number = next((number for number, share in held.items() if share >= _MOST), max(held))
    noun = "component holds" if number == 1 else "components hold"
    gain = f"{100 * held[number]:.0f} % of the {_nats(mean)}"
    text = f"{number} principal {noun} {gain} that the final state gains over its mean."
    return [Verdict("good", text)]


def _nats(cost: float) -> str:
    """Format a cost; one that rounds to zero has no sign."""
    return f"{round(cost, 2) + 0.0:.2f} nats a token"
