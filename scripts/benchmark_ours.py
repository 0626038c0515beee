"""Our side of scripts/benchmark_same_weights.py: the files for both sides, and one measurement.

Run by itself it is a process that is measured, as scripts/benchmark_peer.py is.

Verbs: translate MODEL SOURCE OUT OPTIONS DEVICE | weights MODEL OUT
"""

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nmt.config import TokenizerConfig
from nmt.data.phrases import read_split
from nmt.errors import UsageError
from nmt.text.lines import read_lines
from nmt.text.tokenizer import Tokenizer, Vocabulary, train_tokenizer

CONFIG = """
data:
  source_language: de
  target_language: en
  splits: {train: FOLDER/train, validation: FOLDER/validation}
  cache: FOLDER/cache
tokenizer: {path: FOLDER/tokenizer}
model: {cell: lstm, layers: 2, embedding_size: 256, hidden_size: SIZE, bidirectional: true,
  bridge: copy, feed_context: false, attention: none, dropout: 0.2, tie_embeddings: false}
training: {max_updates: UPDATES, validate_every: UPDATES, log_every: EVERY, batch_tokens: 4096,
  learning_rate: 0.002, schedule: constant, warmup_updates: 0, label_smoothing: 0.1, clip_norm: 1,
  monitor: loss, precision: fp32, device: DEVICE}
"""
_WARM_UP = 16
"""Sentences translated before the clock starts."""
_VALIDATED = 10
"""Pairs of the validation split that `nmt train` sees: it cannot do without."""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Material:
    """What both sides train on and translate, and the folder where it lies.

    Attributes:
        name: the corpus, for people.
        folder: has `train.de`, `train.en`, `validation.*`, `tokenizer/`, `lines.de`; for the peer
            the same in pieces: `pieces.de`, `pieces.en`, `lines.pieces`, `vocabulary`.
        tokenizer: with one vocabulary for both languages.
        pairs: number of training pairs.
        source_tokens: of the training split, end tokens included.
        target_tokens: the same of its other side.
        lines: distinct source lines to translate, the test split's first.
        test: the test split.
    """

    name: str
    folder: Path
    tokenizer: Tokenizer
    pairs: int
    source_tokens: int
    target_tokens: int
    lines: list[str]
    test: Pairs


def texts_of(rows: Iterable[str], vocabulary: Vocabulary) -> list[str]:
    """Return the raw text of lines of pieces, as our own output becomes text."""
    ids = {piece: id_ for id_, piece in enumerate(vocabulary.pieces(range(len(vocabulary))))}
    split = ([piece for piece in row.split(" ") if piece] for row in rows)
    return vocabulary.decode(
        [[ids.get(piece, vocabulary.unk_id) for piece in row] for row in split]
    )


def prepare(data: Path | None, folder: Path, wanted: int, vocabulary_size: int = 8000) -> Material:
    """Write the files that both sides read.

    Args:
        data: a folder with the Multi30k files; None for the built-in corpus.
        folder: where to write.
        wanted: number of lines to translate.
        vocabulary_size: of the one vocabulary.
    """
    if data is None:
        train, validation, test = map(read_split, ("train", "validation", "test"))
    else:
        train, validation, test = (_read(data / name) for name in _MULTI30K)
    train = [pair for pair in train if all(map(str.strip, pair))]  # as our filter does
    sources = dict.fromkeys(source for source, _ in test + validation + train if source.strip())
    lines = list(sources)[:wanted]
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    tokenizer, _ = train_tokenizer(TokenizerConfig(vocabulary_size=vocabulary_size), train)
    tokenizer.save(folder / "tokenizer")
    for name, pairs in {"train": train, "validation": validation[:_VALIDATED]}.items():
        for side, language in enumerate(("de", "en")):
            _write(folder / f"{name}.{language}", (pair[side] for pair in pairs))
    counts = [0, 0]
    sides = (tokenizer.source, tokenizer.target)  # which normalise text each in its own way
    for side, (language, vocabulary) in enumerate(zip(("de", "en"), sides, strict=True)):
        rows = vocabulary.encode([pair[side] for pair in train])
        counts[side] = sum(len(row) + 1 for row in rows)
        _write_pieces(folder / f"pieces.{language}", vocabulary, rows, source=side == 0)
    _write(folder / "lines.de", lines)
    rows = tokenizer.source.encode(lines)
    _write_pieces(folder / "lines.pieces", tokenizer.source, rows, source=True)
    names = tokenizer.source.pieces(range(len(tokenizer.source)))
    _write(folder / "vocabulary", ("<blank>" if name == "<pad>" else name for name in names))
    shown = "builtin:phrases" if data is None else data.name
    return Material(shown, folder, tokenizer, len(train), counts[0], counts[1], lines, test)


_MULTI30K = ("train", "val", "test_2016_flickr")


def _read(prefix: Path) -> Pairs:
    """Read PREFIX.de and PREFIX.en."""
    german, english = (read_lines(Path(f"{prefix}.{language}")) for language in ("de", "en"))
    return list(zip(german, english, strict=True))


def _write(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def _write_pieces(
    path: Path, vocabulary: Vocabulary, rows: list[list[int]], *, source: bool
) -> None:
    """Write lines of pieces; the peer puts no end token to a source by itself."""
    end = [vocabulary.eos_id] if source else []
    _write(path, (" ".join(vocabulary.pieces([*row, *end])) for row in rows))


def multiply_accumulates(hidden: int, vocabulary: int, embedding: int = 256) -> tuple[int, int]:
    """Count the multiplications that a token costs: all matrices but the embeddings.

    Args:
        hidden: width of the decoder, and of both directions of the encoder together.
        vocabulary: tokens.
        embedding: width of the embeddings.

    Returns:
        Of a source token (encoder), and of a target token (decoder and projection).
    """
    half = hidden // 2
    encoder = 2 * (4 * half * (embedding + half) + 4 * half * (hidden + half))
    decoder = 4 * hidden * (embedding + hidden) + 4 * hidden * (hidden + hidden)
    return encoder, decoder + hidden * vocabulary


def translate(
    model: str, source: str, out: str, options: str, device: str
) -> dict[str, float | str]:
    """Translate a file, raw text to raw text; return the seconds, loading left out.

    The options are JSON: `precision`, and fields of `SearchOptions`.
    """
    import nmt
    from nmt.memory import tune_memory

    tune_memory(search=True)  # as the command does
    settings = json.loads(options)
    try:
        translator = nmt.load(model, precision=settings.pop("precision"), device=device)
        lines = list(read_lines(Path(source)))
        translator.translate(lines[:_WARM_UP], **settings)
    except UsageError as error:
        return {"refused": str(error)}
    start = time.perf_counter()
    found = translator.translate(lines, **settings)
    seconds = time.perf_counter() - start
    _write(Path(out), (one.text for one in found))
    return {"seconds": seconds}


def weights(model: str, out: str) -> None:
    """Write a model's tensors and pieces for `benchmark_peer.convert`."""
    import torch

    from nmt.bundle import load_bundle

    bundle = load_bundle(model)
    vocabulary = bundle.tokenizer.source
    pieces = vocabulary.pieces(range(len(vocabulary)))
    tensors = bundle.model.state_dict()
    for side in ("encoder", "decoder"):
        embedding = bundle.model.get_submodule(f"{side}.embedding")  # scales, as the peer does not
        rows = embedding(torch.arange(len(vocabulary)))
        tensors[f"{side}.embedding.weight"] = rows.detach()
    torch.save({"weights": tensors, "pieces": pieces}, out)


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "weights":
        weights(*words)
    else:
        print(json.dumps(translate(*words)))
