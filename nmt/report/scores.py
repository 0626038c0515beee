"""Scores of the runs on their test splits, and the significance of their differences."""

from collections.abc import Sequence

from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import find_bleu_metric
from nmt.evaluation.significance import paired_bootstrap
from nmt.report.blocks import Block, Paragraph, Section, Table
from nmt.report.runs import Run
from nmt.report.tables import run_table, score_text

_VALIDATION = ("loss", "perplexity", "bleu", "chrf")


def scores(runs: Sequence[Run]) -> Section:
    """Return scores with intervals and signatures, and those on the validation split."""
    blocks: list[Block] = [Paragraph(text) for run in runs if (text := _summary(run))]
    rows = []
    signatures: dict[tuple[str, str], None] = {}
    plugged = dict.fromkeys(name for run in runs for s in run.scores.values() for name in s.others)
    for split in _splits(runs):
        for run in runs:
            if (found := run.scores.get(split)) is not None:
                by_metric = found.by_metric()
                signatures |= {(name, score.signature): None for name, score in by_metric.items()}
                texts = map(score_text, map(by_metric.get, ("BLEU", "chrF", "TER", *plugged)))
                rows.append((run, [split, *texts, f"{found.sentences:,}"]))
    if rows:
        columns = ["split", "BLEU", "chrF", "TER (lower is better)", *plugged, "sentences"]
        blocks.append(run_table(columns, rows, title="With 95 % bootstrap intervals"))
        blocks += _significance(runs, signatures)
        blocks.append(Table(["metric", "sacreBLEU's signature"], list(signatures), (0, 1)))
    best = []
    for run in runs:
        if "loss" in (values := run.best.get("validation", {})):
            cells = [f"{values[name]:.2f}" if name in values else "-" for name in _VALIDATION]
            best.append((run, [f"{run.best.get('update', 0):,}", *cells]))
    if best:
        columns = ["update", "loss", "perplexity", "BLEU", "chrF"]
        title = "The best model on the validation split (greedy search during training)"
        blocks.append(run_table(columns, best, words=0, title=title))
    return Section("Scores", blocks)


def _summary(run: Run) -> str:
    """Summarize a run in a sentence: size, time, machine, day, and BLEU on the main test set."""
    machine = run.environment.get("machine", {})
    parts = [f"{run.parameters:,} parameters"] if run.parameters else []
    if run.ended:
        hardware = machine.get("gpu") or f"{machine.get('threads', '?')} processor threads"
        several = f"{count} × " if (count := machine.get("processes", 1)) > 1 else ""
        time = f"trained and scored in {run.minutes:,.0f} min"
        parts.append(f"{time} on {several}{hardware}, {run.ended}")
    for split, scores in list(run.scores.items())[:1]:
        if scores.bleu is not None:
            parts.append(f"BLEU {score_text(scores.bleu)} on {split}")
    if tuned := run.best.get("tuned"):
        search = "beam size {beam_size} and length penalty {length_penalty:g}".format(**tuned)
        parts.append(f"its search was tuned after training, to {search}")
    return run.titled(f"{'; '.join(parts)}.") if parts else ""


def _splits(runs: Sequence[Run]) -> list[str]:
    """Return all test splits, in the order of the runs."""
    return list(dict.fromkeys(split for run in runs for split in run.scores))


def _significance(runs: Sequence[Run], signatures: dict[tuple[str, str], None]) -> list[Block]:
    """Compare the other runs with the first, on each split that both have translated.

    Args:
        runs: all runs.
        signatures: those of the tests are added.
    """
    first, *others = runs
    rows, notes = [], []
    for split in _splits(runs):
        for run in others:
            if fault := _no_comparison(first, run, split):
                notes.append(Paragraph(f"{split}: {run.name} is not compared: {fault}."))
                continue
            before, after = first.translations[split], run.translations[split]
            systems, references = (before.hypotheses, after.hypotheses), [before.references]
            test = paired_bootstrap(*systems, references, TargetLanguage.of(first.config.data))
            difference = f"{test.system - test.baseline:+.2f}"
            significant = "yes" if test.p_value < 0.05 else "no"
            rows.append([run.name, split, difference, f"{test.p_value:.4f}", significant])
            signatures["BLEU, paired bootstrap", test.signature] = None
    title = f"BLEU against {first.name}, by paired bootstrap"
    columns = ["run", "split", "difference", "p", "significant at 0.05"]
    return [*([Table(columns, rows, (0, 1), title)] if rows else []), *notes]


def _no_comparison(first: Run, run: Run, split: str) -> str:
    """Return the reason why two runs cannot be compared on a split; empty if they can."""
    for each in (first, run):
        if split not in each.translations:
            return f"{each.name} has no translations.{split}.jsonl"
    target = TargetLanguage.of(first.config.data)
    if find_bleu_metric(target) is None:
        return f"the tokenizer {target.tokenizer} is not installed"
    before, after = first.translations[split], run.translations[split]
    if list(before.references) != list(after.references):
        return f"its references are not those of {first.name}"
    return ""
