"""A training split with a teacher's translations, which are stored in the cache.

Storage only; `nmt.training.distill` produces the translations.
"""

import contextlib
import dataclasses
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.config import Config, DistillConfig
from nmt.data.chunks import CHUNK
from nmt.data.columns import Pair
from nmt.data.corpus import MOST_OFTEN, Corpus, corpus_places, place_parts
from nmt.errors import DataError
from nmt.text.lines import open_output, read_lines


class TeacherTranslations:
    """Text files of `CHUNK` lines: one line a sentence, its translations separated by tabs.

    The files are gzipped: gzip's checksums detect damage. Each is written atomically, so an
    interrupted teacher continues with the missing ones.

    Args:
        folder: of the files; need not exist.
        sentences: number of sentences to translate.
    """

    def __init__(self, folder: Path, sentences: int):
        self.folder = folder
        self._sizes = [min(CHUNK, sentences - at) for at in range(0, sentences, CHUNK)]

    @property
    def total(self) -> int:
        """Number of sentences to translate."""
        return sum(self._sizes)

    def missing(self) -> set[int]:
        """Return the numbers of the chunks that are missing or damaged."""
        return {number for number in range(len(self._sizes)) if not self._has(number)}

    def sentences(self, chunks: set[int]) -> int:
        """Return the number of sentences in the given chunks."""
        return sum(self._sizes[number] for number in chunks)

    def write(self, number: int, translations: Sequence[Sequence[str]]) -> None:
        """Write a chunk: the translations of each sentence, best first, without tabs.

        Raises:
            DataError, NmtError: it cannot be written.
        """
        path = self._path(number)
        text = "".join("\t".join(texts) + "\n" for texts in translations)
        with open_output(path) as stream:
            stream.write(gzip.compress(text.encode(), mtime=0))

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the translations of each sentence, in order.

        Raises:
            DataError: a chunk cannot be read.
        """
        for number in range(len(self._sizes)):
            for line in read_lines(self._path(number)):
                yield line.split("\t")

    def _has(self, number: int) -> bool:
        with contextlib.suppress(DataError):
            return sum(1 for _ in read_lines(self._path(number))) == self._sizes[number]
        return False

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.txt.gz"


@dataclasses.dataclass(frozen=True)
class DistilledCorpus(Corpus):
    """A corpus whose train split also pairs the sources of each place with their translations.

    Attributes:
        translations: of the sources of train, in order.
        references: factor on the weights of the reference pairs; 0 leaves them out of train.
    """

    translations: TeacherTranslations
    references: float

    def parts(self, split: str) -> Iterator[Iterator[Pair]]:
        """Stream the references place by place, then the translations in the same order."""
        if split != "train" or self.references:
            yield from super().parts(split)
        if split == "train":
            translations = iter(self.translations)
            for part in super().parts(split):
                both = zip(part, translations, strict=False)
                yield ((source, text) for (source, _), texts in both for text in texts)

    @property
    def weights(self) -> tuple[float, ...]:
        """Passes over the pairs of each part of train in one epoch."""
        weights = super().weights
        references = tuple(weight * self.references for weight in weights)
        return (*references, *weights) if self.references else weights


def references_alone(config: Config) -> Config:
    """Return a config without teachers, whose epochs have about as many pairs."""
    data = config.data
    if not data.distill.teachers:
        return config
    times = data.distill.references + data.distill.n_best
    train: list[str | dict[str, str | float]] = [
        {"place": part.place, "weight": min(part.weight * times, MOST_OFTEN)}
        for part in place_parts(corpus_places(data).get("train", []))
    ]
    splits = {**(data.splits or {}), "train": train}
    data = dataclasses.replace(data, distill=DistillConfig(), splits=splits)
    return dataclasses.replace(config, data=data)
