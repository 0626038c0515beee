"""Raw text to token ids and back, around SentencePiece."""

import functools
import hashlib
import io
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sentencepiece

from nmt.config import TokenizerConfig
from nmt.errors import BundleError, ConfigError, DataError, naming_key
from nmt.reading import read_bytes
from nmt.text.lines import is_blank, one_line

_SHARED, _SOURCE, _TARGET = "shared.model", "source.model", "target.model"
MODEL_FILES = (_SHARED, _SOURCE, _TARGET)


class Vocabulary:
    """One SentencePiece model: text to ids and back.

    Args:
        model: the serialized SentencePiece model.
        name: its name in errors.
    """

    def __init__(self, model: bytes, name: str = "tokenizer"):
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError:
            raise BundleError(f"{name} is not a SentencePiece model; give another file") from None
        self.model = model
        self.bos_id: int = self._processor.bos_id()
        self.eos_id: int = self._processor.eos_id()
        self.unk_id: int = self._processor.unk_id()
        for piece, id_ in {"<s>": self.bos_id, "</s>": self.eos_id}.items():
            if id_ < 0:
                raise BundleError(f"{name} has no piece {piece}; train one with bos_id and eos_id")

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, without start and end."""
        # Large corpora are encoded by several processes, so threads would not help.
        ids: list[list[int]] = self._processor.encode(list(texts), num_threads=1)
        return ids

    def input_ids(self, ids: Sequence[int], max_length: int | None = None) -> list[int]:
        """Return the ids of a text, cut to a maximum length, with the end token."""
        return [*ids[:max_length], self.eos_id]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each list of token ids, as one line each."""
        texts: list[str] = self._processor.decode([list(row) for row in ids])
        return [one_line(text) for text in texts]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the surface form of each token id, `▁` for a space."""
        return [self._processor.id_to_piece(id_) for id_ in ids]

    def spelled(self, text: str) -> list[str]:
        """Return the surface form of each piece of a text, also of unknown ones."""
        pieces: list[str] = self._processor.encode(text, out_type=str)
        return pieces

    def spelled_words(self, text: str) -> list[int]:
        """Return the word of a text in which each of its tokens begins, counted from 0.

        One unknown token may cover several words.
        """
        words, spaces = [], 0
        for piece in self.spelled(text):
            words.append(spaces + piece.startswith("▁"))
            spaces += piece.count("▁")
        return [word - words[0] for word in words]

    def decoded_words(self, ids: Sequence[int]) -> list[int]:
        """Return the word of the decoded text that each token belongs to, counted from 0.

        Decoding drops some spaces that a model may write, and turns unknown tokens into words.
        """
        texts = self.decode([ids[: end + 1] for end in range(len(ids))])
        last = max(len(texts[-1].split()) - 1, 0) if texts else 0
        words = [max(len(text.split()) - 1, 0) for text in texts]
        return [min(word, last) for word in itertools.accumulate(words, max)]

    def with_normalization(self, rule: str) -> "Vocabulary":
        """Return the same pieces with another of SentencePiece's normalization rules."""
        from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

        proto = ModelProto.FromString(self.model)
        rules = sentencepiece.SentencePieceNormalizer(rule_name=rule).serialized_model_proto()
        proto.normalizer_spec.CopyFrom(ModelProto.FromString(rules).normalizer_spec)
        return Vocabulary(proto.SerializeToString(deterministic=True))

    def unknown_parts(self, text: str) -> list[str]:
        """Return the parts of a normalised text that become unknown tokens."""
        parts = zip(*self.encode([text]), self.spelled(text), strict=True)
        return [part.replace("▁", " ").strip() for id_, part in parts if id_ == self.unk_id]

    def is_unknown(self, ids: Sequence[int]) -> bool:
        """Return whether a text has unknown tokens and, spaces aside, no others."""
        space = self._processor.piece_to_id("▁")  # the unknown token if there is no such piece
        return self.unk_id in ids and {self.unk_id, space}.issuperset(ids)

    def text_ids(self) -> set[int]:
        """Return the ids of text pieces, without special tokens and single bytes."""
        model = self._processor
        special = (model.is_control, model.is_unknown, model.is_unused, model.is_byte)
        return {id_ for id_ in range(len(self)) if not any(test(id_) for test in special)}


@dataclass(frozen=True)
class Tokenizer:
    """The vocabularies of the two sides; the same object if pieces and normalization are equal."""

    source: Vocabulary
    target: Vocabulary

    @functools.cached_property
    def shared(self) -> bool:
        """Whether both sides have the same pieces, and so the same ids."""
        if self.source is self.target:
            return True
        first, second = (side.pieces(range(len(side))) for side in (self.source, self.target))
        return first == second

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the SentencePiece models, in hexadecimal."""
        models = [hashlib.sha256(side.model).digest() for side in (self.source, self.target)]
        return hashlib.sha256(b"".join(models)).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the SentencePiece models into an existing folder; equal ones are written once."""
        models = {_SOURCE: self.source, _TARGET: self.target}
        if self.source is self.target:
            models = {_SHARED: self.source}
        for name, vocabulary in models.items():
            (folder / name).write_bytes(vocabulary.model)


Learned = tuple[Tokenizer, list[str]]
"""A tokenizer, and warnings where it is not as configured."""


def load_tokenizer(path: Path) -> Tokenizer:
    """Load one model file for both sides, or a folder that `Tokenizer.save` wrote.

    Raises:
        BundleError: a file is missing, or not a SentencePiece model.
    """
    files = [path / _SHARED if path.is_dir() else path]
    if path.is_dir() and not files[0].exists():
        files = [path / _SOURCE, path / _TARGET]
    try:
        sides = [Vocabulary(read_bytes(file), str(file)) for file in files]
    except DataError as error:
        raise BundleError(str(error)) from None
    return Tokenizer(sides[0], sides[-1])


def train_tokenizer(config: TokenizerConfig, pairs: Iterable[tuple[str, str]]) -> Learned:
    """Learn the vocabularies from sentence pairs, or load `config.path`.

    Args:
        config: the `tokenizer` section.
        pairs: (source, target) raw texts; read once for each vocabulary.

    Raises:
        ConfigError: the vocabulary size is too small for the corpus's characters.
        DataError: no text to learn from.
    """
    if config.path is not None:
        usual = vars(TokenizerConfig(path=config.path))
        ignored = [f"tokenizer.{key}" for key, value in vars(config).items() if value != usual[key]]
        notes = [f"tokenizer.path: it is used as it is, without {', '.join(ignored)}"]
        with naming_key("tokenizer.path"):
            return load_tokenizer(Path(config.path)), notes if ignored else []
    rules = config.normalization, config.target_normalization
    if not config.shared:
        sides = (
            _train_vocabulary(config, rule, (pair[side] for pair in pairs))
            for side, rule in enumerate(rules)
        )
        tokenizer = Tokenizer(*sides)
    elif rules[0] == rules[1]:
        vocabulary = _train_vocabulary(config, rules[0], itertools.chain.from_iterable(pairs))
        tokenizer = Tokenizer(vocabulary, vocabulary)
    else:
        make = functools.partial(sentencepiece.SentencePieceNormalizer, escape_whitespaces=False)
        source, target = (make(rule_name=rule) for rule in rules)
        both = ((source.normalize(one), target.normalize(other)) for one, other in pairs)
        vocabulary = _train_vocabulary(config, "identity", itertools.chain.from_iterable(both))
        tokenizer = Tokenizer(*map(vocabulary.with_normalization, rules))
    return tokenizer, size_notes(config, tokenizer)


def size_notes(config: TokenizerConfig, tokenizer: Tokenizer) -> list[str]:
    """Return a warning for each vocabulary that is smaller than configured."""
    sides = {"source": tokenizer.source, "target": tokenizer.target}
    if tokenizer.shared:
        sides = {"shared": tokenizer.source}
    return [
        f"tokenizer.vocabulary_size {config.vocabulary_size} exceeds the pieces of the corpus: "
        f"the {side} vocabulary has {len(vocabulary)} pieces"
        for side, vocabulary in sides.items()
        if len(vocabulary) < config.vocabulary_size
    ]


def _train_vocabulary(config: TokenizerConfig, rule: str, texts: Iterable[str]) -> Vocabulary:
    model = io.BytesIO()
    count = 0
    failure: BaseException | None = None  # SentencePiece would hide it in an error of its own

    def counted() -> Iterator[str]:
        nonlocal count, failure
        try:
            for text in texts:
                if not is_blank(text):
                    count += 1
                    short = len(text) <= 1000  # SentencePiece skips lines of over 4,192 bytes
                    yield from [text] if short else textwrap.wrap(text, 1000)
        except BaseException as error:
            failure = error
            raise

    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=counted(),
            model_writer=model,
            model_type=config.model,
            vocab_size=config.vocabulary_size,
            hard_vocab_limit=False,
            byte_fallback=config.byte_fallback,
            character_coverage=config.character_coverage,
            normalization_rule_name=rule,
            pad_id=0,
            unk_id=1,
            bos_id=2,
            eos_id=3,
            num_threads=1,  # for reproducible bytes
            minloglevel=2,
        )
    except RuntimeError as error:
        if failure is not None:
            raise failure from None
        if count == 0 or "sentences_.empty()" in str(error):
            raise DataError("data.splits.train: no text to learn a tokenizer from") from None
        too_small = re.search(r"smaller than required_chars. \d+ vs (\d+)", str(error))
        if too_small or "(vocab_size) >= (0)" in str(error):
            least = f"at least {too_small[1]}" if too_small else "more"
            raise ConfigError(
                f"tokenizer.vocabulary_size: {config.vocabulary_size} is too small for the "
                f"corpus's characters; give {least}, or lower tokenizer.character_coverage"
            ) from None
        raise DataError(f"the tokenizer cannot be trained: {error}") from None
    return Vocabulary(model.getvalue())
