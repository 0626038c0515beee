"""Choosing how a model searches by default: the beam size and length penalty of the best BLEU."""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nmt.config import SearchOptions
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric, check_lengths
from nmt.inference.translator import Translator
from nmt.log import PROGRESS, ProgressBar

_log = logging.getLogger("nmt")
BEAM_SIZES = (1, 3, 5, 8, 12)
LENGTH_PENALTIES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)


@dataclass(frozen=True)
class Trial:
    """One setting of the search, and what its translations are worth.

    Attributes:
        beam_size: hypotheses kept at every step.
        length_penalty: see `SearchOptions`.
        bleu: corpus BLEU.
    """

    beam_size: int
    length_penalty: float
    bleu: float

    def rank(self) -> tuple[float, int, float]:
        """Return what is largest for the best: of equals the cheaper, then the more usual."""
        return self.bleu, -self.beam_size, -abs(self.length_penalty - 1)


@dataclass(frozen=True)
class Tuning:
    """All settings that were tried.

    Attributes:
        grid: the trials, beam size by beam size.
        hypotheses: the translations of the best.
        signature: sacreBLEU's own account of how BLEU was computed.
    """

    grid: list[Trial]
    hypotheses: list[str]
    signature: str

    @property
    def best(self) -> Trial:
        """The setting to keep."""
        return max(self.grid, key=Trial.rank)

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, strings and numbers."""
        return asdict(self.best) | {"signature": self.signature}

    def __str__(self) -> str:
        penalties = sorted({trial.length_penalty for trial in self.grid})
        lines = [f"{'beam':>4}" + "".join(f"{penalty:7g}" for penalty in penalties)]
        for beam_size, row in itertools.groupby(self.grid, key=lambda trial: trial.beam_size):
            lines.append(f"{beam_size:4}" + "".join(f"{trial.bleu:7.2f}" for trial in row))
        best = self.best
        told = f"beam size {best.beam_size}, length penalty {best.length_penalty:g}"
        return "\n".join(["BLEU by beam size and length penalty", *lines, f"best: {told}"])


def tune(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[str],
    target: TargetLanguage,
    options: SearchOptions,
) -> Tuning:
    """Translate with every setting of a small grid, which the model's own defaults belong to.

    Args:
        translator: the model.
        sources: raw text that the model was not trained on, and that no result is reported on.
        references: the human translations.
        target: their language.
        options: from `Translator.options`; the other settings.

    Raises:
        DataError: unequal numbers, nothing to score, or a tokenizer that is not installed.
        NmtError: a sentence could not be translated.
    """
    check_lengths(sources, references)
    metric = bleu_metric(target, references)
    own = translator.defaults
    beam_sizes = sorted({*BEAM_SIZES, own.beam_size})
    penalties = sorted({*LENGTH_PENALTIES, own.length_penalty})
    grid: list[Trial] = []
    hypotheses: list[str] = []
    bar = ProgressBar("setting", len(beam_sizes) * len(penalties))
    try:
        for beam_size, penalty in itertools.product(beam_sizes, penalties):
            search = replace(options, beam_size=beam_size, length_penalty=penalty)
            found = translator.translate_all(sources, search)
            trial = Trial(beam_size, penalty, float(metric.corpus_score(found, None).score))
            grid.append(trial)
            if trial is max(grid, key=Trial.rank):
                hypotheses = found
            bar.advance()
            told = f"beam {beam_size}, length penalty {penalty:g}: BLEU {trial.bleu:.2f}"
            bar.show(told)
            _log.log(PROGRESS, "%s, %s left", told, bar.time_left())
    finally:
        bar.stop()
    return Tuning(grid, hypotheses, str(metric.get_signature()))
