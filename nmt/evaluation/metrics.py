"""BLEU, chrF and TER of raw text, by sacreBLEU, each with its signature and an interval."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from nmt.errors import DataError
from nmt.evaluation.languages import TargetLanguage

if TYPE_CHECKING:  # sacrebleu takes a while to import
    import numpy as np
    from numpy.typing import NDArray
    from sacrebleu.metrics import BLEU
    from sacrebleu.metrics.base import Metric, Signature

References = Sequence[Sequence[str]]
"""For each human translator, the translations of all sentences."""
Labels = Mapping[str, str] | None
"""Further fields of a signature: `test` and `lang`."""
RESAMPLES = 1000
"""Bootstrap samples behind every interval."""
SEED = 12345
"""Seed of the samples; sacreBLEU's."""


@dataclass(frozen=True)
class Score:
    """One metric's value for a whole corpus.

    Attributes:
        score: the metric, 0 to 100 (TER: lower is better, and it may exceed 100).
        low: lower end of the 95 % bootstrap interval.
        high: upper end of the interval.
        signature: sacreBLEU's own description of the computation.
    """

    score: float
    low: float
    high: float
    signature: str


@dataclass(frozen=True)
class Scores:
    """Scores of a translation against its references.

    Attributes:
        bleu: corpus BLEU; None where its tokenizer is not installed.
        chrf: corpus chrF2.
        ter: translation edit rate.
        sentences: number of sentences compared.
        others: scores by metrics of other packages.
    """

    bleu: Score | None
    chrf: Score
    ter: Score
    sentences: int
    others: dict[str, Score] = field(default_factory=dict)

    def by_metric(self) -> dict[str, Score]:
        """Return the available scores, by the names of their metrics."""
        scores = {"BLEU": self.bleu, "chrF": self.chrf, "TER": self.ter, **self.others}
        return {name: score for name, score in scores.items() if score is not None}

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, strings and numbers."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name != "others" or value}

    def __str__(self) -> str:
        lines = [
            f"{name:4} {score.score:6.2f}  [{score.low:.2f}, {score.high:.2f}]  {score.signature}"
            for name, score in self.by_metric().items()
        ]
        return "\n".join([*lines, f"{self.sentences} sentences"])


def corpus_scores(
    hypotheses: Sequence[str], references: References, target: TargetLanguage, labels: Labels = None
) -> Scores:
    """Score raw translations against untouched references.

    BLEU is left out where its tokenizer is not installed.

    Args:
        hypotheses: one translation of each sentence.
        references: see `References`.
        target: their language.
        labels: see `Labels`.

    Raises:
        DataError: unequal numbers, or nothing to score.
    """
    from sacrebleu.metrics import CHRF, TER

    from nmt.evaluation.plugin_metrics import other_scores  # it needs our records

    check_lengths(hypotheses, *references)
    bleu = find_bleu_metric(target)
    # TER's support for Asian scripts is a part of its normalization.
    ter = TER(normalized=target.asian, asian_support=target.asian)
    return Scores(
        bleu=None if bleu is None else with_interval(bleu, hypotheses, references, labels),
        chrf=with_interval(CHRF(), hypotheses, references, labels),
        ter=with_interval(ter, hypotheses, references, labels),
        sentences=len(hypotheses),
        others=other_scores(hypotheses, references),
    )


def quick_scores(
    hypotheses: Sequence[str], references: Sequence[str], target: TargetLanguage
) -> dict[str, float]:
    """Return corpus BLEU and chrF without intervals, for validation during training.

    BLEU is left out where its tokenizer is not installed.
    """
    from sacrebleu.metrics import CHRF

    check_lengths(hypotheses, references)
    metrics = {"bleu": find_bleu_metric(target), "chrf": CHRF()}
    return {
        name: float(metric.corpus_score(list(hypotheses), [list(references)]).score)
        for name, metric in metrics.items()
        if metric is not None
    }


def bleu_metric(target: TargetLanguage, references: References = ()) -> "BLEU":
    """Return BLEU with the tokenizer of a target language, bound to references if given.

    Args:
        target: the language.
        references: see `References`.

    Raises:
        DataError: the tokenizer needs a package that is not installed.
    """
    from sacrebleu.metrics import BLEU

    tokenizer = target.tokenizer
    try:
        # Without force, sacreBLEU logs on every score of references that look tokenised.
        every = [list(one) for one in references] or None
        return BLEU(tokenize=tokenizer, force=True, references=every)
    except (ImportError, RuntimeError):
        raise DataError(
            f"BLEU for {target.tag} needs the tokenizer {tokenizer}: "
            f"pip install 'nmt[{tokenizer[:2]}]', or choose another, such as char"
        ) from None


def find_bleu_metric(target: TargetLanguage) -> "BLEU | None":
    """Return BLEU as `bleu_metric` does; None where its tokenizer is not installed."""
    try:
        return bleu_metric(target)
    except DataError:
        return None


def check_lengths(hypotheses: Sequence[str], *references: Sequence[str]) -> None:
    """Refuse unequal or empty texts, which sacreBLEU would score silently.

    Raises:
        DataError: unequal numbers, or none.
    """
    for each in references:
        if len(hypotheses) != len(each):
            counts = f"{len(hypotheses)} hypotheses do not match {len(each)} references"
            raise DataError(f"{counts} line by line")
    if not hypotheses:
        raise DataError("there is nothing to score: the references are empty")


def with_interval(
    metric: "Metric", hypotheses: Sequence[str], references: References, labels: Labels = None
) -> Score:
    """Score translations by one of sacreBLEU's metrics, with a bootstrap interval.

    Args:
        metric: the metric.
        hypotheses: the translations.
        references: see `References`.
        labels: see `Labels`.
    """
    from sacrebleu.significance import estimate_ci

    stats = metric._extract_corpus_statistics(hypotheses, [list(one) for one in references])
    score = float(metric._aggregate_and_compute(stats).score)
    mean, half = score, 0.0
    if len(hypotheses) > 1:  # one sentence has no spread to sample
        mean, half = map(float, estimate_ci(resampled_scores(metric, stats)))
    signature = signed(metric.get_signature(), labels)
    return Score(score, max(0.0, mean - half), mean + half, signature)


def resampled_scores(metric: "Metric", stats: Sequence[Sequence[float]]) -> "NDArray[np.float64]":
    """Return a metric's scores of bootstrap samples, and note the sampling in its signature.

    These are the samples of sacreBLEU, which would hold all of them in memory: some 80 KB for each
    sentence.

    Args:
        metric: the metric.
        stats: its statistics of each sentence, `(sentences, numbers)`.

    Returns:
        `(RESAMPLES,)`.
    """
    import numpy as np

    sums = resampled_sums(np.array(stats, dtype=np.float32))
    metric.n_bootstrap, metric.seed = RESAMPLES, str(SEED)
    return np.array([metric._compute_score_from_stats(each).score for each in sums], np.float64)


def resampled_sums(rows: "NDArray[Any]") -> Iterator[Any]:
    """Yield the column sums of `RESAMPLES` bootstrap samples of rows, those of sacreBLEU."""
    import numpy as np

    random = np.random.default_rng(SEED)
    for _ in range(RESAMPLES):
        yield rows[random.choice(len(rows), len(rows))].sum(axis=0)


def signed(signature: "Signature", labels: Labels) -> str:
    """Return a signature as text, with values for the fields that sacreBLEU leaves empty."""
    for name, value in (labels or {}).items():
        signature.update(name, value)
    return str(signature)
