"""A corpus: named splits of sentence pairs, whatever they come from.

Everything is streamed, and can be streamed again: training text need not fit into memory.
"""

from __future__ import annotations

import dataclasses
import functools
import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Mapping

from nmt.config import DataConfig, Place
from nmt.data.columns import Pair
from nmt.data.files import read_file_pairs
from nmt.errors import ConfigError, DataError

Read = Callable[[str], Iterator[Pair]]


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Sentence pairs by split. Made by `open_corpus`."""

    name: str
    """The value of `data.corpus`."""
    places: Mapping[str, Place]
    """Where each split lies, as in `data.splits`."""
    read: Read
    """Streams the pairs of one place."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, train first."""
        return tuple(sorted(self.places, key=lambda name: name != "train"))

    def pairs(self, split: str) -> Iterator[Pair]:
        """Stream the (source, target) texts of a split, as often as asked.

        Raises:
            DataError: no such split, or, while reading, what is wrong with its data; a split
                without any pair is wrong, too.
        """
        if split not in self.places:
            known = ", ".join(self.splits)
            raise DataError(f"the corpus {self.name} has no split {split!r}; it has {known}")
        pairs = self._cut(split)
        first = next(pairs, None)
        if first is None:
            raise DataError(f"data.splits.{split}: no sentence pair in {self.places[split]}")
        return itertools.chain([first], pairs)

    def _cut(self, split: str) -> Iterator[Pair]:
        """Stream a split without what belongs to another."""
        if split != "train" and not isinstance(self.places[split], dict):
            return self._read(split)
        owners = self._owners
        pairs = enumerate(self._read("train"))
        return (pair for position, pair in pairs if owners.get(position, "train") == split)

    def _read(self, split: str) -> Iterator[Pair]:
        return itertools.chain.from_iterable(map(self.read, _parts(self.places[split])))

    @functools.cached_property
    def _owners(self) -> dict[int, str]:
        """Positions in train that are cut out of it, and the splits that get them.

        The positions with the smallest draws go, in the order of the splits: which pairs a split
        gets depends on train and on the cuts named before it only. Of Python's generator,
        `random()` alone stays the same in every version.
        """
        cuts = {
            name: place["cut"] for name, place in self.places.items() if isinstance(place, dict)
        }
        if not cuts:
            return {}
        total, draw = sum(cuts.values()), random.Random(1).random
        drawn = ((draw(), position) for position, _ in enumerate(self._read("train")))
        # One more than is cut: a pair has to be left for train.
        chosen = heapq.nsmallest(total + 1, drawn)
        if len(chosen) <= total:
            keys = ", ".join(f"data.splits.{name}: {{cut: {size}}}" for name, size in cuts.items())
            raise ConfigError(f"{keys}: train has only {len(chosen)} pairs; cut fewer")
        names = itertools.chain.from_iterable(itertools.starmap(itertools.repeat, cuts.items()))
        return {position: name for name, (_, position) in zip(names, chosen, strict=False)}


def corpus_places(config: DataConfig) -> dict[str, Place]:
    """Return every split's place, those of builtin and hub corpora that go without saying too.

    Raises:
        ConfigError: a place makes no sense.
    """
    for split, place in (config.splits or {}).items():
        _check_place(split, place)
    kind = config.corpus.partition(":")[0]
    defaults: tuple[str, ...] = ()
    if kind == "hub":
        defaults = ("train", "validation", "test")
    elif kind == "builtin":
        defaults = ("train", "validation", "test", "long")
    return {name: name for name in defaults} | (config.splits or {})


def open_corpus(config: DataConfig, only: str | None = None) -> Corpus:
    """Open the corpus that a config names, and read the first pair of every split.

    Args:
        config: the `data` section.
        only: the one split that will be read; the others need not be there.

    Raises:
        ConfigError: the corpus or a split's place is not one.
        DataError: a split, file, language or column is not there, or a split has no pairs.
    """
    kind, _, name = config.corpus.partition(":")
    places = corpus_places(config)
    offered: tuple[str, ...] | None = None
    if kind == "builtin":
        offered, read = _open_builtin(name, config)
    elif kind == "hub":
        from nmt.data.hub import open_hub

        offered, read = open_hub(name, config)
    else:
        read = functools.partial(read_file_pairs, config=config)
    corpus = Corpus(config.corpus, places, read)
    for split in corpus.splits if only is None else [only]:
        if split in places:
            _try_places(corpus, split, offered)
        corpus.pairs(split)
    return corpus


def _open_builtin(name: str, config: DataConfig) -> tuple[tuple[str, ...], Read]:
    if name != "phrases":
        raise ConfigError(f"data.corpus: there is no builtin corpus {name!r}; use builtin:phrases")
    from nmt.data import phrases

    languages = (config.source_language, config.target_language)
    for language in languages:
        if language not in phrases.LANGUAGES:
            raise DataError(
                f"builtin:phrases has {' and '.join(phrases.LANGUAGES)}, not {language}"
            )
    sides = [phrases.LANGUAGES.index(language) for language in languages]

    def read(split: str) -> Iterator[Pair]:
        return ((pair[sides[0]], pair[sides[1]]) for pair in phrases.read_split(split))

    return tuple(phrases.SPLITS), read


def _check_place(split: str, place: Place) -> None:
    """Refuse a place of any corpus that makes no sense."""
    key = f"data.splits.{split}"
    if isinstance(place, dict):
        if set(place) != {"cut"} or place["cut"] < 1:
            raise ConfigError(f"{key}: {place!r} makes no sense: give a place, or {{cut: 2000}}")
        if split == "train":
            raise ConfigError(f"{key}: {place!r} makes no sense: others are cut out of train")
    elif not all(_parts(place)) or not place:
        raise ConfigError(f"{key}: {place!r} names no place")


def _try_places(corpus: Corpus, split: str, offered: tuple[str, ...] | None) -> None:
    """Read a pair of every place of a split; `offered` are those of a corpus that has its own."""
    place = corpus.places[split]
    for part in () if isinstance(place, dict) else _parts(place):
        if offered is not None and part not in offered:
            key = f"data.splits.{split}"
            cut = "" if split == "train" else f", or cut it out of train with {key}: {{cut: 2000}}"
            raise DataError(
                f"{key}: {corpus.name} has no split {part!r}; name one of {', '.join(offered)}{cut}"
            )
        next(corpus.read(part), None)


def _parts(place: Place) -> list[str]:
    return [place] if isinstance(place, str) else list(place)
