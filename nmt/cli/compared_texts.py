"""What `nmt evaluate` compares: files, a split of the model's corpus, or public test sets."""

import argparse
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from nmt.cli.arguments import corpus_files, read_run_split, refuse_output, refuse_unequal
from nmt.cli.flags import option
from nmt.config import Config
from nmt.errors import UsageError
from nmt.text.lines import read_lines, writing_to


@dataclasses.dataclass(frozen=True)
class Texts:
    """What is compared, line by line.

    Attributes:
        sources: to translate; empty where there are hypotheses already.
        references: for each translator, the translations of all sources.
        output: where the translations are kept.
        name: of the text, where there are several.
        labels: fields of the signatures; see `corpus_scores`.
        hypotheses: translations to score.
        baseline: another system's translations.
    """

    sources: list[str]
    references: list[list[str]]
    output: Path | None
    name: str = ""
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    hypotheses: list[str] | None = None
    baseline: list[str] | None = None


@dataclasses.dataclass
class TextFlags:
    """Flags that select the texts to compare."""

    split: str | None = None
    """a split of the model's own corpus (default: test)"""
    test_set: list[str] = option(metavar="NAME")
    """a public test set of sacreBLEU, such as wmt14/full, in the model's direction; downloaded
    once, to $SACREBLEU or ~/.sacrebleu; repeat the option for several sets; A,B scores two as one
    text; list prints all names"""
    source: Path | None = None
    """file to translate"""
    reference: list[Path] = option()
    """file of human translations; repeat the option for several translators"""
    hypotheses: Path | None = None
    """file of translations to score instead of translating"""
    baseline: Path | None = None
    """file of another system's translations to compare with"""
    output: Path | None = option(names=["-o", "--output"])
    """file for the translations, or a folder for several test sets"""


def refuse_senseless(arguments: argparse.Namespace) -> None:
    """Refuse calls that do not specify what to compare, before any work."""
    sets, files = arguments.test_set, arguments.source or arguments.reference
    if arguments.split and files:
        raise UsageError(
            "--split has its own source and reference; leave --source and --reference out"
        )
    if sets and (arguments.split or files):
        raise UsageError(
            f"--test-set {sets[0]} has its own source and references; leave --split, --source and "
            "--reference out"
        )
    if arguments.model is None:
        if sets:
            raise UsageError(f"--test-set {sets[0]} needs a MODEL: its languages are the direction")
        if arguments.hypotheses is None or not arguments.reference:
            raise UsageError("without MODEL, give --hypotheses and --reference")
        if arguments.source or arguments.split:
            raise UsageError("--source and --split need a MODEL to translate with")
    elif arguments.source and not arguments.reference:
        raise UsageError("--source needs --reference to compare with")
    elif arguments.reference and not (arguments.source or arguments.hypotheses):
        raise UsageError("--reference needs --source to translate, or --hypotheses")
    elif arguments.hypotheses and arguments.source:
        raise UsageError("--hypotheses are scored as they are; leave --source out")
    for name in ("hypotheses", "baseline"):
        if len(sets) > 1 and getattr(arguments, name):
            raise UsageError(f"--{name} belongs to one test set; give one --test-set")
    if twice := [name for name in sets if sets.count(name) > 1]:
        raise UsageError(f"--test-set {twice[0]} is given twice; give it once")
    if str(arguments.output) == "-":
        raise UsageError("-o -: standard output is for the scores; give a file")
    if arguments.output and arguments.hypotheses:
        raise UsageError("-o: --hypotheses are there already; leave it out")
    if arguments.tune and (sets or len(arguments.reference) > 1):
        given = f"--test-set {sets[0]} must" if sets else "several --reference files do"
        raise UsageError(f"--tune: {given} not choose a setting; give --split validation")


def read_compared(arguments: argparse.Namespace, config: Config | None) -> list[Texts]:
    """Read all texts to compare, and refuse unequal line counts, before any work."""
    if arguments.test_set:
        assert config is not None
        return _public_texts(arguments, config)
    sources = _lines(arguments.source)
    references = [list(read_lines(path)) for path in arguments.reference]
    where = arguments.reference[0] if references else f"the split {arguments.split or 'test'}"
    inputs: list[Path] = []
    if not references:
        assert config is not None
        pairs = read_run_split(arguments.model, config, arguments.split or "test")
        sources, *references = (list(side) for side in zip(*pairs, strict=True))
        inputs = corpus_files(config)
    texts = Texts(sources or [], references, arguments.output)
    return [_complete(arguments, where, texts, inputs)]


def _public_texts(arguments: argparse.Namespace, config: Config) -> list[Texts]:
    """Check that all test sets exist, then read them."""
    from nmt.data.public_sets import check_public_set, language_pair, read_public_set

    names, folder = arguments.test_set, arguments.output
    pair = language_pair(*config.data.languages)
    refuse_output(arguments.json)
    for name in names:
        check_public_set(name, pair)
    sets, found = [read_public_set(name, pair) for name in names], []
    if len(names) > 1 and folder is not None:
        with writing_to(folder):
            folder.mkdir(exist_ok=True)
    for one in sets:
        output = folder / one.file_name if folder is not None and folder.is_dir() else folder
        texts = Texts(one.sources, one.references, output, one.name, one.labels)
        found.append(_complete(arguments, f"the test set {one.name}", texts))
    return found


def _complete(
    arguments: argparse.Namespace, where: Path | str, texts: Texts, inputs: Sequence[Path] = ()
) -> Texts:
    """Add the other systems' translations; require equal line counts, and outputs of their own."""
    hypotheses, baseline = _lines(arguments.hypotheses), _lines(arguments.baseline)
    sides = [
        *zip(arguments.reference, texts.references, strict=False),
        (arguments.source, texts.sources),
        (arguments.hypotheses, hypotheses),
        (arguments.baseline, baseline),
    ]
    for path, side in sides:
        if side is not None and path is not None:
            refuse_unequal(path, len(side), where, len(texts.references[0]))
    output = texts.output
    read = [*inputs, *(path for path, _ in sides if path is not None)]
    for written in (output, arguments.json):
        refuse_output(written, *read, arguments.model, *arguments.ensemble)
    if output and arguments.json and os.path.realpath(output) == os.path.realpath(arguments.json):
        raise UsageError(f"-o and --json: {output} cannot hold both; name two files")
    return dataclasses.replace(texts, hypotheses=hypotheses, baseline=baseline)


def _lines(path: Path | None) -> list[str] | None:
    return None if path is None else list(read_lines(path))
