"""Significance of the difference between two systems."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import (
    RESAMPLES,
    Labels,
    References,
    bleu_metric,
    check_lengths,
    resampled_scores,
    signed,
)


@dataclass(frozen=True)
class Comparison:
    """BLEU of two systems on the same references.

    Attributes:
        baseline: BLEU of the baseline.
        system: BLEU of the system.
        p_value: probability of a difference this large under the null hypothesis.
        signature: sacreBLEU's description of the test.
    """

    baseline: float
    system: float
    p_value: float
    signature: str

    def __str__(self) -> str:
        return (
            f"BLEU {self.system:.2f} against {self.baseline:.2f} of the baseline: "
            f"{self.system - self.baseline:+.2f}, p = {self.p_value:.4f}  {self.signature}"
        )


def paired_bootstrap(
    baseline: Sequence[str],
    system: Sequence[str],
    references: References,
    target: TargetLanguage,
    labels: Labels = None,
) -> Comparison:
    """Compare two systems' translations by resampling sentences.

    Args:
        baseline: one translation of each sentence.
        system: the same of the other system.
        references: see `References`.
        target: their language.
        labels: see `Labels`.

    Raises:
        DataError: unequal numbers, or nothing to compare.

    Source: Koehn 2004, as sacreBLEU computes it.
    """
    for side in (baseline, system):
        check_lengths(side, *references)
    metric = bleu_metric(target, references)
    stats = [metric._extract_corpus_statistics(side, None) for side in (baseline, system)]
    before, after = (float(metric._aggregate_and_compute(each).score) for each in stats)
    samples = [resampled_scores(metric, each) for each in stats]
    differences = abs(samples[0] - samples[1])
    # Strictly larger, as in sacreBLEU, which so calls equal systems different; see `alike`.
    beyond = differences - differences.mean() > abs(before - after)
    alike = before == after or len(system) == 1  # all samples of one sentence are equal
    p_value = 1.0 if alike else float(beyond.sum() + 1) / (RESAMPLES + 1)
    return Comparison(before, after, p_value, signed(metric.get_signature(), labels))
