"""What the runs are worth on their test splits, and whether they differ by more than chance."""

from collections.abc import Mapping, Sequence

from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import find_bleu_metric
from nmt.evaluation.significance import paired_bootstrap
from nmt.report.blocks import Block, Numbers, Paragraph, Section, Table
from nmt.report.runs import Run
from nmt.report.tables import interval, of_run, run_table, with_interval

_BUILTIN = "builtin:phrases"
_LONG = "long: sentences that are longer than any in training."


def scores(runs: Sequence[Run]) -> Section:
    """Scores with intervals and signatures; of the validation split where there is no other."""
    blocks: list[Block] = [Paragraph(text) for run in runs if (text := _summary(runs, run))]
    if len(runs) == 1 and (items := _headline(runs[0])):
        blocks.append(Numbers(items))
    rows = [
        (run, [split, *map(with_interval, (s.bleu, s.chrf, s.ter)), f"{s.sentences:,}"])
        for split in _splits(runs)
        for run in runs
        if (s := run.scores.get(split))
    ]
    if rows:
        columns = ["split", "BLEU", "chrF", "TER (lower is better)", "sentences"]
        blocks.append(run_table(runs, columns, rows, title="With 95 % bootstrap intervals"))
        if any(run.config.data.corpus == _BUILTIN and "long" in run.scores for run in runs):
            blocks.append(Paragraph(_LONG))
        compared, paired = _significance(runs)
        blocks += [*compared, _signatures(runs, paired)]
    best = [
        (run, [f"{run.best.get('update', 0):,}", *_numbers(found)])
        for run in runs
        if "loss" in (found := run.best.get("validation", {}))
    ]
    if best:
        columns = ["update", "loss", "perplexity", "BLEU", "chrF"]
        title = "The best model on the validation split (greedy search during training)"
        blocks.append(run_table(runs, columns, best, words=0, title=title))
    return Section("Scores", blocks)


def _summary(runs: Sequence[Run], run: Run) -> str:
    """Say in a sentence what a run is: size, time, machine, day, and BLEU of the main test set."""
    machine = run.environment.get("machine", {})
    parts = [f"{run.parameters:,} parameters"] if run.parameters else []
    if run.ended:
        where = machine.get("gpu") or f"{machine.get('threads', '?')} processor threads"
        parts.append(f"trained and scored in {run.minutes:,.0f} min on {where}, {run.ended}")
    for split, found in list(run.scores.items())[:1]:
        if found.bleu is not None:
            parts.append(f"BLEU {found.bleu.score:.2f} {interval(found.bleu)} on {split}")
    return of_run(runs, run, f"{'; '.join(parts)}.") if parts else ""


def _numbers(found: Mapping[str, float]) -> list[str]:
    names = ("loss", "perplexity", "bleu", "chrf")
    return [f"{found[name]:.2f}" if name in found else "-" for name in names]


def _splits(runs: Sequence[Run]) -> list[str]:
    """Return all test splits, in the order in which the runs have them."""
    return list(dict.fromkeys(split for run in runs for split in run.scores))


def _headline(run: Run) -> list[tuple[str, str, str]]:
    return [
        (f"{name}, {split}", f"{score.score:.2f}", interval(score))
        for split, found in run.scores.items()
        for name, score in found.by_metric().items()
        if name != "TER"
    ]


def _signatures(runs: Sequence[Run], paired: Sequence[str]) -> Table:
    rows = {
        (name, score.signature): None
        for run in runs
        for found in run.scores.values()
        for name, score in found.by_metric().items()
    }
    rows |= {("BLEU, paired bootstrap", signature): None for signature in paired}
    return Table(["metric", "sacreBLEU's signature"], list(rows), (0, 1))


def _significance(runs: Sequence[Run]) -> tuple[list[Block], list[str]]:
    """Compare every further run with the first on each split that both have translated.

    Returns:
        The comparison, and the signatures of its tests.
    """
    first, *others = runs
    rows, notes = [], []
    signatures: dict[str, None] = {}
    for split in _splits(runs):
        for run in others:
            if fault := _no_comparison(first, run, split):
                notes.append(Paragraph(f"{split}: {run.name} is not compared: {fault}."))
                continue
            before, after = first.translations[split], run.translations[split]
            found = paired_bootstrap(
                before.hypotheses,
                after.hypotheses,
                before.references,
                TargetLanguage.of(first.config.data),
            )
            difference = f"{found.system - found.baseline:+.2f}"
            chance = "yes" if found.p_value < 0.05 else "no"
            rows.append([run.name, split, difference, f"{found.p_value:.4f}", chance])
            signatures[found.signature] = None
    if not rows:
        return [*notes], []
    title = f"BLEU against {first.name}, by paired bootstrap"
    columns = ["run", "split", "difference", "p", "significant at 0.05"]
    return [Table(columns, rows, (0, 1), title), *notes], list(signatures)


def _no_comparison(first: Run, run: Run, split: str) -> str:
    """Say why two runs cannot be compared on a split; empty where they can."""
    for one in (first, run):
        if split not in one.translations:
            return f"{one.name} has no translations.{split}.jsonl"
    target = TargetLanguage.of(first.config.data)
    if find_bleu_metric(target) is None:
        return f"the tokenizer {target.tokenizer} is not installed"
    before, after = first.translations[split], run.translations[split]
    if list(before.references) != list(after.references):
        return f"its references are not those of {first.name}"
    return ""
