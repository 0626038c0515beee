import itertools
import os
import pickle
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt.config import TokenizerConfig
from nmt.data.chunks import CHUNK
from nmt.data.corpus import Corpus
from nmt.data.encoded import EncodedPairs
from nmt.data.loader import Update, UpdateLoader, Updates
from nmt.errors import DataError
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from tests.data.made import encode, made_corpus

PAIRS = [(f"wort{i % 7} " * (i % 5 + 1), f"word{i % 7} " * (i % 4 + 1)) for i in range(60)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(vocabulary_size=40), PAIRS)[0]


def test_encoded_pairs_are_the_tokenizers_own(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encoded = encode(PAIRS, tokenizer, tmp_path)
    rows = np.array([3, 0, 59, 3])
    sources, targets = encoded[rows]
    assert sources == tokenizer.source.encode([PAIRS[row][0] for row in rows])
    assert targets == tokenizer.target.encode([PAIRS[row][1] for row in rows])
    every = tokenizer.source.encode([source for source, _ in PAIRS])
    assert encoded.source_lengths.tolist() == [len(ids) + 1 for ids in every]
    assert encoded.facts.source_tokens == sum(encoded.source_lengths)
    assert encoded.facts.target_tokens == sum(encoded.target_lengths)


def test_every_pair_is_found_in_its_chunk(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pairs = [("wort1 " * (i % 3 + 1), "word2 " * (i % 5 + 1)) for i in range(2 * CHUNK + 5)]
    pairs[7] = pairs[CHUNK] = ("", "word2")
    encoded = encode(pairs, tokenizer, tmp_path)
    kept = [pair for pair in pairs if pair[0]]
    rows = np.array([0, 6, 7, CHUNK - 2, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK + 2])
    sources, targets = encoded[rows]
    assert sources == tokenizer.source.encode([kept[row][0] for row in rows])
    assert targets == tokenizer.target.encode([kept[row][1] for row in rows])
    assert encoded.source_lengths[rows].tolist() == [len(ids) + 1 for ids in sources]
    assert len(encoded) == len(kept) == len(encoded.target_lengths)
    every = itertools.chain.from_iterable(tokenizer.target.encode([target for _, target in kept]))
    counts = Counter(every)
    size = len(tokenizer.target)
    assert encoded.target_counts(size).tolist() == [counts[token] for token in range(size)]


def test_only_processors_of_the_job_encode(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster's job may have 3 of a machine's 128 processors."""
    started: list[int] = []

    def written(*arguments: Any) -> None:
        started.append(arguments[-1])
        raise OSError

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 3, 5})
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr("nmt.data.cache.write_encoded", written)
    with pytest.raises(DataError):
        encode(PAIRS, tokenizer, tmp_path, workers=None)
    assert started == [3]


def test_lengths_cost_two_bytes_a_side_and_are_mapped_where_all_are_kept(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    encoded = encode(PAIRS, tokenizer, tmp_path)
    assert encoded.source_lengths.dtype == encoded.target_lengths.dtype == np.uint16
    assert isinstance(encoded.source_lengths, np.memmap)


def test_what_is_left_out_is_counted(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pairs = [("wort1", "word1"), ("", "word1"), ("wort1", " \u200b"), ("wort1 " * 40, "word2")]
    encoded = encode(pairs, tokenizer, tmp_path, "--data.max_length", "20")
    facts = encoded.facts
    assert (facts.pairs, facts.kept, facts.left_out) == (4, 1, {"empty": 2, "too_long": 1})
    assert facts.source_tokens == len(tokenizer.source.encode(["wort1"])[0]) + 1
    lines = encoded.table().splitlines()
    assert lines[0].startswith("train: 4 pairs, 1 kept; ")
    assert lines[1].split() == ["filter", "setting", "found", "left", "out"]
    assert lines[2].split() == ["empty", "on", "2", "2"]
    assert lines[6].split() == ["too_long", "20", "1", "1"]
    assert lines[7].split() == ["length_ratio", "off", "1", "0"]
    assert len(lines) == 10
    assert len({len(line) for line in lines[1:]}) == 1  # aligned


def test_nothing_left_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pairs = [("", "word1"), ("wort1 " * 40, "word2")]
    with pytest.raises(DataError) as caught:
        encode(pairs, tokenizer, tmp_path, "--data.max_length", "20")
    assert str(caught.value) == (
        "no pair of the training split is left of 2; left out: empty 1, too_long 1; "
        "data.max_length is 20 tokens, the rest is under data.filters"
    )


def test_a_corpus_is_encoded_once_and_again_when_anything_but_a_filter_changes(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    passes = []

    def read(place: str) -> Iterator[tuple[str, str]]:
        passes.append(place)
        return iter(PAIRS)

    corpus = Corpus("made", {"train": "train"}, read)
    encode(corpus, tokenizer, tmp_path)
    assert len(passes) == 2  # to scan, and to encode
    encode(corpus, tokenizer, tmp_path, "--data.max_length", "9", "--data.filters.duplicates=true")
    assert len(passes) == 3
    encode(PAIRS[:-1], tokenizer, tmp_path)
    encode(made_corpus(PAIRS, test=PAIRS[:3]), tokenizer, tmp_path)
    encode(PAIRS, train_tokenizer(TokenizerConfig(model="word"), PAIRS)[0], tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_encoded_pairs_can_be_sent_to_another_process(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encoded = encode([*PAIRS, ("", "")], tokenizer, tmp_path)
    sent = pickle.dumps(encoded)
    assert len(sent) < 1000  # where it lies, not what it holds
    copy = pickle.loads(sent)
    assert copy.facts == encoded.facts
    assert copy[np.arange(60)] == encoded[np.arange(60)]
    assert copy.source_lengths.tolist() == encoded.source_lengths.tolist()


def test_weights_count_the_pairs_that_are_kept(tokenizer: Tokenizer, tmp_path: Path) -> None:
    places = {"a": [*PAIRS[:3], ("", "x")], "b": PAIRS[3:8], "c": [("", ""), PAIRS[8]]}
    train = ["a", {"place": "b", "weight": 2.5}, {"place": "c", "weight": 3}, "a"]
    corpus = Corpus("made", {"train": train}, lambda place: iter(places[place]))
    encoded = encode(corpus, tokenizer, tmp_path)
    assert encoded.weights == ((3, 1.0), (5, 2.5), (1, 3.0), (3, 1.0))
    plain = Corpus("made", {"train": ["a", "b", "c", "a"]}, lambda place: iter(places[place]))
    unweighted = encode(plain, tokenizer, tmp_path)
    assert unweighted.weights is None
    assert unweighted.facts.fingerprint != encoded.facts.fingerprint  # no resuming across them
    updates = updates_of(encoded, tokenizer)
    assert sum(len(b.source.lengths) for n in range(len(updates.plan(0)))
               for b in updates[0, n].batches) == 3 + 12 + 3 + 3  # fmt: skip


def test_a_damaged_cache_is_encoded_again(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encode(PAIRS, tokenizer, tmp_path)
    for name in ("pairs.arrow", "lengths.npy", "marks.npy", "shares.npy"):
        (file,) = tmp_path.glob(f"*/{name}")
        file.write_bytes(file.read_bytes()[:-30])
        again = encode(PAIRS, tokenizer, tmp_path)
        assert again[np.array([59])][0] == tokenizer.source.encode([PAIRS[59][0]])


def test_a_cache_that_cannot_be_written_is_named(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write the encoded corpus to .*--data.cache"):
        encode(PAIRS, tokenizer, tmp_path / "file")


def updates_of(encoded: EncodedPairs, tokenizer: Tokenizer) -> Updates:
    return Updates(encoded, tokenizer, batch_tokens=64, accumulate=2, seed=1)


def flat(update: Update) -> list[list[int]]:
    return [row for batch in update.batches for row in batch.target.tokens.tolist()]


def test_updates_carry_start_and_end_tokens(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encoded = encode(PAIRS, tokenizer, tmp_path)
    updates = updates_of(encoded, tokenizer)
    seen = []
    for number in range(len(updates.plan(0))):
        update = updates[0, number]
        assert update.target_tokens == sum(
            int((batch.target.lengths - 1).sum()) for batch in update.batches
        )
        for batch in update.batches:
            for row, length in zip(batch.source.tokens, batch.source.lengths, strict=True):
                assert row[length - 1] == tokenizer.source.eos_id
            for row, length in zip(batch.target.tokens, batch.target.lengths, strict=True):
                assert row[0] == tokenizer.target.bos_id
                assert row[length - 1] == tokenizer.target.eos_id
                seen.append(row[1 : length - 1].tolist())
    assert sorted(seen) == sorted(tokenizer.target.encode([target for _, target in PAIRS]))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_where_it_is_told(
    tokenizer: Tokenizer, tmp_path: Path, workers: int
) -> None:
    updates = updates_of(encode(PAIRS, tokenizer, tmp_path), tokenizer)
    loader = UpdateLoader(updates)
    every = [update for _ in range(3) for update in loader]
    places = [(update.epoch, update.number) for update in every]
    assert places == [(e, n) for e in range(3) for n in range(len(updates.plan(e)))]
    other = UpdateLoader(updates, workers)
    other.load_state_dict({"epoch": 1, "update": 2})
    rest = every[len(updates.plan(0)) + 2 :]
    for expected, update in zip(rest, other, strict=False):
        assert flat(update) == flat(expected)
        assert other.state_dict() == {"epoch": update.epoch, "update": update.number + 1}
    assert len(rest) >= len(other) > 1


def test_a_loader_draws_nothing_from_the_global_generator(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Else a resumed run, which makes a new loader, would see other random numbers."""
    updates = updates_of(encode(PAIRS, tokenizer, tmp_path), tokenizer)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    next(iter(UpdateLoader(updates)))
    assert torch.equal(torch.get_rng_state(), before)
