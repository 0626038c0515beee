"""Metrics of other packages, beside BLEU, chrF and TER."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nmt.errors import shorten
from nmt.evaluation.metrics import RESAMPLES, SEED, References, Score, resampled_sums
from nmt.log import log
from nmt.plugins import METRIC_GROUP, load_plugin, plugin_names


@dataclass(frozen=True)
class CorpusMetric:
    """A metric of another package, which registers it as an entry point in `nmt.metrics`.

    Attributes:
        statistics: given the translations and, for each translator, the references, returns a row
            of numbers for each sentence, `(sentences, numbers)`. A corpus has their sums.
        score: maps sums, `(numbers,)`, to the score.
        signature: how it is computed, in sacreBLEU's form: `KEY:VALUE|KEY:VALUE`.
    """

    statistics: Callable[[Sequence[str], References], Sequence[Sequence[float]]]
    score: Callable[[Sequence[float]], float]
    signature: str


def other_scores(hypotheses: Sequence[str], references: References) -> dict[str, Score]:
    """Score by every metric that an installed package registers; one that fails is left out."""
    found = {}
    for name in plugin_names(METRIC_GROUP):
        try:
            metric = load_plugin(METRIC_GROUP, name, CorpusMetric)
            found[name] = _score_by(metric, hypotheses, references)
        except Exception as error:  # after hours of training, the other scores are not lost
            reason = shorten(f"{type(error).__name__}: {error}")
            log.warning("the metric %s failed, and is left out: %s", name, reason)
    return found


def _score_by(metric: CorpusMetric, hypotheses: Sequence[str], references: References) -> Score:
    """Score by another package's metric, with a bootstrap interval."""
    import numpy as np

    rows = np.asarray(metric.statistics(hypotheses, references), dtype=float)
    if rows.ndim != 2 or len(rows) != len(hypotheses):
        found = f"statistics of shape {rows.shape}"
        raise ValueError(f"{found} are not a row for each of {len(hypotheses)} sentences")
    drawn = sorted(float(metric.score(sums)) for sums in resampled_sums(rows))
    low, high = drawn[RESAMPLES // 40], drawn[-1 - RESAMPLES // 40]
    signature = f"nrefs:{len(references)}|bs:{RESAMPLES}|seed:{SEED}|{metric.signature}"
    return Score(float(metric.score(rows.sum(axis=0))), low, high, signature)
