"""Sample translations: an even sample, the best and worst, candidates and alignments."""

import difflib
from collections.abc import Sequence

from nmt.diagnosis.records import Sample
from nmt.evaluation.breakdowns import sentence_scores, spread
from nmt.evaluation.languages import TargetLanguage
from nmt.report.blocks import Block, Details, Figure, Paragraph, Section, Sentences, Span, Table
from nmt.report.plots import alignment
from nmt.report.runs import Run

_SHOWN = 5
_EMPTY: Span = ("", "(empty)")
_LEGEND = Sentences(
    [
        ("reference", [("insert", "words that the translation lacks")]),
        ("translation", [("delete", "words that the reference lacks")]),
    ]
)


def samples(runs: Sequence[Run]) -> Section:
    """Return an even sample of each test split, then each run's best and worst by chrF."""
    blocks: list[Block] = []
    for split in dict.fromkeys(split for run in runs for split in run.translations):
        translated = [run for run in runs if split in run.translations]
        texts = translated[0].translations[split]
        rows = spread(range(len(texts.references)), _SHOWN)
        alike = [r for r in translated if r.translations[split].references == texts.references]
        shown = [_sentences(alike, split, row) for row in rows]
        blocks += [Paragraph(f"{split}: {len(shown)} sentences, evenly spread"), *shown]
        for run in translated:
            blocks += _extremes(run, split)
        for run in alike[1:]:
            blocks += _differences(alike[0], run, split)
    return Section("Translations", [_LEGEND, *blocks] if blocks else [])


def candidates(runs: Sequence[Run]) -> Section:
    """Return the likeliest translations of chosen sentences, and their alignments if any."""
    blocks: list[Block] = []
    for run in runs:
        for number, sample in enumerate(run.diagnosis.samples, start=1):
            language = run.config.data.target_language
            best = sample.candidates[0].text if sample.candidates else ""
            reference, hypothesis = marked(sample.reference, best, language)
            source: list[Span] = [("", sample.source)]
            label = run.name if run.compared else "translation"
            lines = [("source", source), ("reference", reference), (label, hypothesis)]
            title = f"The best translations of sentence {number}, by score with the length penalty"
            ranked = [
                [str(rank), candidate.text, f"{candidate.score:.2f}"]
                for rank, candidate in enumerate(sample.candidates, start=1)
            ]
            columns = ["rank", "translation", "log-probability"]
            blocks += [
                Sentences(lines, run.config.data.languages),
                Table(columns, ranked, (0, 1), run.titled(title), {1: language}),
            ]
            blocks += _alignment(run, number, sample)
    return Section("Candidates and alignments", blocks)


def marked(reference: str, hypothesis: str, language: str) -> tuple[list[Span], list[Span]]:
    """Mark the words in which two sentences differ.

    Words are separated by spaces; in languages without spaces, they are characters.

    Returns:
        The reference, with words that the hypothesis lacks marked as inserted; and the hypothesis,
        with words that the reference lacks marked as deleted.
    """
    unspaced = TargetLanguage(language).unspaced
    space = "" if unspaced else " "
    wanted, actual = (list(t) if unspaced else t.split() for t in (reference, hypothesis))
    left: list[Span] = []
    right: list[Span] = []
    for kind, i, i_end, j, j_end in difflib.SequenceMatcher(
        None, wanted, actual, autojunk=False
    ).get_opcodes():
        for spans, mark, words in (
            (left, "insert", wanted[i:i_end]),
            (right, "delete", actual[j:j_end]),
        ):
            if words:
                spans += [("", space)] if spans and space else []
                spans.append(("" if kind == "equal" else mark, space.join(words)))  # type: ignore[arg-type]
    return left or [_EMPTY], right or [_EMPTY]


def _sentences(shown: Sequence[Run], split: str, row: int, score: str = "") -> Sentences:
    """Return one sentence with the translations of some runs."""
    texts = shown[0].translations[split]
    reference = texts.references[row]
    lines: list[tuple[str, list[Span]]] = [("source", [("", texts.sources[row])])]
    for number, run in enumerate(shown):
        hypothesis = run.translations[split].hypotheses[row]
        left, right = marked(reference, hypothesis, run.config.data.target_language)
        if number == 0:  # several translations lack different words
            lines.append(("reference", left if len(shown) == 1 else [("", reference)]))
        label = run.name if run.compared else "translation"
        lines.append((f"{label}{score}", right))
    return Sentences(lines, shown[0].config.data.languages)


def _chrf(run: Run, split: str) -> list[float]:
    texts = run.translations[split]
    return sentence_scores(texts.hypotheses, texts.references) if texts.references else []


def _extremes(run: Run, split: str) -> list[Block]:
    """Return the sentences that a run translates best and worst."""
    scores = _chrf(run, split)
    order = sorted(range(len(scores)), key=scores.__getitem__)
    few = min(_SHOWN, len(order) // 2)
    blocks: list[Block] = []
    for name, rows in (("best", order[::-1][:few]), ("worst", order[:few])):
        shown = [_sentences([run], split, row, f", chrF {scores[row]:.1f}") for row in rows]
        if shown:
            blocks.append(Details(run.titled(f"{split}: the {few} {name} by chrF"), shown))
    return blocks


def _differences(first: Run, run: Run, split: str) -> list[Block]:
    """Return the sentences whose chrF differs most between two runs, in either direction."""
    before, after = _chrf(first, split), _chrf(run, split)
    gains = [new - old for old, new in zip(before, after, strict=True)]
    order = sorted(range(len(gains)), key=lambda row: -abs(gains[row]))
    shown: list[Block] = []
    for row in [row for row in order[:_SHOWN] if gains[row]]:
        shown += [
            Paragraph(f"chrF {before[row]:.1f} of {first.name}, {after[row]:.1f} of {run.name}"),
            _sentences([first, run], split, row),
        ]
    title = f"{split}: where {first.name} and {run.name} differ most, by chrF"
    return [Details(title, shown)] if shown else []


def _alignment(run: Run, number: int, sample: Sample) -> list[Block]:
    if sample.alignment is None:
        return []
    x, y = sample.source_pieces, sample.target_pieces
    size = (1.4 + 0.22 * len(x), 1.4 + 0.2 * len(y))
    title = run.titled(f"Attention of each target piece (rows) in sentence {number}")
    name = run.figure_name("alignment", number)
    return [Figure(name, title, alignment(sample.alignment, x, y), size)]
