"""Significance of the difference between two systems."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import RESAMPLES, Labels, References, bleu_metric, check_lengths, signed


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
    from sacrebleu.significance import PairedTest

    for side in (baseline, system):
        check_lengths(side, *references)
    systems = [("baseline", baseline), ("system", system)]
    metrics = {"BLEU": bleu_metric(target, references)}
    test = PairedTest(systems, metrics, references=None, test_type="bs", n_samples=RESAMPLES)
    signatures, results = test()
    before, after = (result for result in results["BLEU"] if not isinstance(result, str))
    # sacreBLEU counts strictly larger differences, and so finds no difference significant.
    p_value = after.p_value if before.score != after.score else None
    p_value = 1.0 if p_value is None else float(p_value)
    signature = signed(signatures["BLEU"], labels)
    return Comparison(float(before.score), float(after.score), p_value, signature)
