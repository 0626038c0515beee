"""A corpus: named splits of sentence pairs from files, the hub or the built-in generator.

Splits are streams that can be read again: training text need not fit into memory.
"""

import dataclasses
import functools
import heapq
import itertools
import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nmt.config import DataConfig, Place
from nmt.data.columns import Pair, Read
from nmt.data.files import read_file_pairs
from nmt.errors import ConfigError, DataError, counted

MOST_OFTEN = 1000
"""Largest weight of a place: passes over its pairs in one epoch."""
_DEFAULT_SPLITS = {
    "hub": ("train", "validation", "test"),
    "builtin": ("train", "validation", "test", "long"),
}


class Part(NamedTuple):
    """One place of a split, and the passes over its pairs in one epoch."""

    place: str
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Sentence pairs by split. Made by `open_corpus`."""

    name: str
    """The value of `data.corpus`."""
    places: Mapping[str, Place]
    """The place of each split, as in `data.splits`."""
    read: Read
    """Streams the pairs of one place."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, train first."""
        return tuple(sorted(self.places, key=lambda name: name != "train"))

    def pairs(self, split: str) -> Iterator[Pair]:
        """Stream the (source, target) texts of a split, as often as asked.

        Raises:
            DataError: no such split, a split without pairs, or, while reading, invalid data.
        """
        pairs = itertools.chain.from_iterable(self.parts(split))
        first = next(pairs, None)
        if first is None:
            raise DataError(f"data.splits.{split}: no sentence pair in {self.places[split]}")
        return itertools.chain([first], pairs)

    def parts(self, split: str) -> Iterator[Iterator[Pair]]:
        """Stream the pairs of a split place by place; exhaust each stream before the next.

        A cut split has the places of train.

        Raises:
            DataError: no such split.
        """
        is_cut = isinstance(self._place(split), dict)
        owners = self._owners if is_cut or split == "train" else {}
        positions = itertools.count()
        for part in place_parts(self._place("train" if is_cut else split)):
            pairs = self.read(part.place)
            if owners:
                owned = zip(pairs, positions, strict=False)
                pairs = (pair for pair, at in owned if owners.get(at, "train") == split)
            yield pairs

    @property
    def weights(self) -> tuple[float, ...]:
        """Passes over the pairs of each place of train in one epoch."""
        return tuple(part.weight for part in place_parts(self._place("train")))

    def _place(self, split: str) -> Place:
        if split not in self.places:
            known = ", ".join(self.splits)
            raise DataError(f"the corpus {self.name} has no split {split!r}; it has {known}")
        return self.places[split]

    @functools.cached_property
    def _owners(self) -> dict[int, str]:
        """Map positions in train that are cut out of it to the splits that receive them.

        The positions with the smallest random draws are cut, in the order of the splits. A split's
        pairs depend only on train and on the cuts named before it. `random()` is the one method of
        Python's generator that is stable across versions.
        """
        every = self.places.items()
        cuts = {name: place["cut"] for name, place in every if isinstance(place, dict)}
        if not cuts:
            return {}
        total, draw = sum(cuts.values()), random.Random(1).random
        places = place_parts(self._place("train"))
        pairs = itertools.chain.from_iterable(self.read(part.place) for part in places)
        drawn = ((draw(), position) for position, _ in enumerate(pairs))
        # One more than is cut: train keeps at least one pair.
        chosen = heapq.nsmallest(total + 1, drawn)
        if len(chosen) <= total:
            keys = ", ".join(f"data.splits.{name}: {{cut: {size}}}" for name, size in cuts.items())
            raise ConfigError(f"{keys}: train has only {counted(len(chosen), 'pair')}; cut fewer")
        names = itertools.chain.from_iterable(itertools.starmap(itertools.repeat, cuts.items()))
        return {position: name for name, (_, position) in zip(names, chosen, strict=False)}


def corpus_places(config: DataConfig) -> dict[str, Place]:
    """Return every split's place, with the default splits of builtin and hub corpora.

    Raises:
        ConfigError: a place is malformed.
    """
    for split, place in (config.splits or {}).items():
        if place is not None:
            _check_place(split, place)
    defaults = _DEFAULT_SPLITS.get(config.corpus.partition(":")[0], ())
    places: dict[str, Place | None] = {name: name for name in defaults}
    places |= config.splits or {}
    if "train" in places and places["train"] is None:
        raise ConfigError("data.splits.train: null: training needs this split; name a place")
    return {name: place for name, place in places.items() if place is not None}


def open_corpus(config: DataConfig, only: str | None = None) -> Corpus:
    """Open the corpus that a config names, and read the first pair of every split.

    Args:
        config: the `data` section.
        only: the one split that will be read; the others need not exist.

    Raises:
        ConfigError: an unknown corpus or a malformed place.
        DataError: a split, file, language or column is missing, or a split has no pairs.
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
    wanted = corpus.splits if only is None else [only]
    if only is not None and isinstance(places.get(only), dict):  # it is cut out of train
        wanted = ["train", only]
    for split in wanted:
        if split in places:
            _try_places(corpus, split, offered)
        corpus.pairs(split)
    return corpus


def _open_builtin(name: str, config: DataConfig) -> tuple[tuple[str, ...], Read]:
    if name != "phrases":
        raise ConfigError(f"data.corpus: there is no builtin corpus {name!r}; use builtin:phrases")
    from nmt.data import phrases

    for language in config.languages:
        if language not in phrases.LANGUAGES:
            raise DataError(
                f"builtin:phrases has {' and '.join(phrases.LANGUAGES)}, not {language}"
            )
    sides = [phrases.LANGUAGES.index(language) for language in config.languages]

    def read(split: str) -> Iterator[Pair]:
        return ((pair[sides[0]], pair[sides[1]]) for pair in phrases.read_split(split))

    return phrases.SPLITS, read


def _check_place(split: str, place: Place) -> None:
    """Refuse a place of any corpus that is malformed."""
    key = f"data.splits.{split}"
    if isinstance(place, dict):
        if set(place) != {"cut"} or place["cut"] < 1:
            raise ConfigError(f"{key}: {place!r}: give a place, or {{cut: 2000}}")
        if split == "train":
            raise ConfigError(f"{key}: {place!r}: only other splits are cut out of train")
        return
    for item in [place] if isinstance(place, str) else place:
        if isinstance(item, dict):
            _check_weighted(key, item)
    if not place or not all(part.place for part in place_parts(place)):
        raise ConfigError(f"{key}: {place!r} names no place")


def _check_weighted(key: str, item: dict[str, str | float]) -> None:
    """Refuse an item of a list of places unless it is a place with a legal weight."""
    place, weight = item.get("place"), item.get("weight")
    if set(item) != {"place", "weight"} or not isinstance(place, str):
        raise ConfigError(f"{key}: {item!r}: give {{place: NAME, weight: 2}}")
    if not isinstance(weight, int | float) or not 0 < weight <= MOST_OFTEN:
        remedy = f"it must be above 0 and at most {MOST_OFTEN}"
        raise ConfigError(f"{key}: {place}: weight {weight!r}: {remedy}")
    if key != "data.splits.train":
        raise ConfigError(f"{key}: {place}: only the places of train have a weight")


def _try_places(corpus: Corpus, split: str, offered: tuple[str, ...] | None) -> None:
    """Read one pair of every place of a split; `offered` are a corpus's own splits, if any."""
    for part in place_parts(corpus.places[split]):
        if offered is not None and part.place not in offered:
            key = f"data.splits.{split}"
            cut = ""
            if split != "train":
                cut = f", or cut it out of train with {key}: {{cut: 2000}}"
            if split not in ("train", "validation"):
                cut += f"; {key}: null leaves it out"
            raise DataError(
                f"{key}: {corpus.name} has no split {part.place!r}; "
                f"name one of {', '.join(offered)}{cut}"
            )
        next(corpus.read(part.place), None)


def place_parts(place: Place) -> list[Part]:
    """Return the parts of a split's place; none if the split is cut out of train."""
    if isinstance(place, dict):
        return []
    items = [place] if isinstance(place, str) else place
    return [
        Part(str(item["place"]), float(item["weight"])) if isinstance(item, dict) else Part(item)
        for item in items
    ]
