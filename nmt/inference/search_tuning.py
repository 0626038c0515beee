"""Tunes the default search of a model: the beam size and length penalty of the best BLEU."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nmt.config import SearchOptions
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric, check_lengths
from nmt.inference.translator import Translator
from nmt.log import ProgressBar

BEAM_SIZES = (1, 3, 5, 8, 12)
LENGTH_PENALTIES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)


@dataclass(frozen=True)
class Trial:
    """One setting of the search, and its BLEU.

    Attributes:
        beam_size: hypotheses kept at every step.
        length_penalty: see `SearchOptions`.
        bleu: corpus BLEU.
    """

    beam_size: int
    length_penalty: float
    bleu: float

    def rank(self) -> tuple[float, int, float]:
        """Return the sort key, largest for the best: of equals the cheaper, then the more usual."""
        return self.bleu, -self.beam_size, -abs(self.length_penalty - 1)


@dataclass(frozen=True)
class Tuning:
    """The trials of a grid search.

    Attributes:
        grid: the trials, by beam size.
        hypotheses: the translations of the best trial.
        signature: sacreBLEU's signature of BLEU.
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
        setting = f"beam size {best.beam_size}, length penalty {best.length_penalty:g}"
        return "\n".join(["BLEU by beam size and length penalty", *lines, f"best: {setting}"])


def tune(
    translator: Translator,
    sources: Sequence[str],
    references: Sequence[str],
    target: TargetLanguage,
    options: SearchOptions,
) -> Tuning:
    """Translate with every setting of a small grid, the model's own defaults included.

    Args:
        translator: the model.
        sources: raw text that is neither training data nor used for reported results.
        references: the human translations.
        target: their language.
        options: from `Translator.options`; the other settings.

    Raises:
        DataError: unequal numbers, no sentences, or a missing tokenizer.
        NmtError: a sentence could not be translated.
    """
    check_lengths(sources, references)
    metric = bleu_metric(target, [references])
    own = translator.defaults
    beam_sizes = sorted({*BEAM_SIZES, own.beam_size})
    penalties = sorted({*LENGTH_PENALTIES, own.length_penalty})
    grid: list[Trial] = []
    hypotheses: list[str] = []
    with ProgressBar("setting", len(beam_sizes) * len(penalties)) as bar:
        for beam_size, penalty in itertools.product(beam_sizes, penalties):
            search = replace(options, beam_size=beam_size, length_penalty=penalty)
            texts = translator.translate_all(sources, search)
            trial = Trial(beam_size, penalty, float(metric.corpus_score(texts, None).score))
            grid.append(trial)
            if trial is max(grid, key=Trial.rank):
                hypotheses = texts
            bar.advance()
            bar.log(f"beam {beam_size}, length penalty {penalty:g}: BLEU {trial.bleu:.2f}")
    return Tuning(grid, hypotheses, str(metric.get_signature()))
