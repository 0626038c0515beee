from pathlib import Path

import numpy as np
import pytest
import torch

from nmt.config import TokenizerConfig
from nmt.data.encoded import EncodedPairs, cache_folder, encode_pairs, text_fingerprint
from nmt.data.loader import Update, Updates, update_loader
from nmt.errors import DataError
from nmt.text.tokenizer import Tokenizer, train_tokenizer

PAIRS = [(f"wort{i % 7} " * (i % 5 + 1), f"word{i % 7} " * (i % 4 + 1)) for i in range(60)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(vocabulary_size=40), PAIRS)[0]


def encode(
    tokenizer: Tokenizer, cache: Path, pairs: list[tuple[str, str]] = PAIRS, max_length: int = 50
) -> EncodedPairs:
    return encode_pairs(lambda: pairs, tokenizer, max_length=max_length, cache=cache)


def test_encoded_pairs_are_the_tokenizers_own(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encoded = encode(tokenizer, tmp_path)
    rows = np.array([3, 0, 59, 3])
    sources, targets = encoded[rows]
    assert sources == tokenizer.source.encode([PAIRS[row][0] for row in rows])
    assert targets == tokenizer.target.encode([PAIRS[row][1] for row in rows])
    every = tokenizer.source.encode([source for source, _ in PAIRS])
    assert encoded.source_lengths.tolist() == [len(ids) + 1 for ids in every]
    assert encoded.facts.source_tokens == sum(encoded.source_lengths)
    assert encoded.facts.target_tokens == sum(encoded.target_lengths)


def test_what_is_left_out_is_counted(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pairs = [("wort1", "word1"), ("", "word1"), ("wort1", " \u200b"), ("wort1 " * 40, "word2")]
    facts = encode(tokenizer, tmp_path, pairs, max_length=20).facts
    assert (facts.pairs, facts.kept, facts.empty, facts.too_long) == (4, 1, 2, 1)
    assert "4 pairs, 1 kept; left out: 2 with an empty side, 1 too long" in str(facts)


def test_nothing_left_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pair of the training split is left of 2: 1 have an"):
        encode(tokenizer, tmp_path, [("", "word1"), ("wort1 " * 40, "word2")], max_length=20)
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_is_encoded_once_and_again_when_anything_changes(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    calls = []

    def pairs() -> list[tuple[str, str]]:
        calls.append(1)
        return PAIRS

    encode_pairs(pairs, tokenizer, max_length=50, cache=tmp_path)
    assert len(calls) == 2  # to fingerprint, and to encode
    encode_pairs(pairs, tokenizer, max_length=50, cache=tmp_path)
    assert len(calls) == 3
    encode(tokenizer, tmp_path, max_length=49)
    encode(tokenizer, tmp_path, PAIRS[:-1])
    encode(train_tokenizer(TokenizerConfig(model="word"), PAIRS)[0], tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_damaged_cache_is_encoded_again(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encode(tokenizer, tmp_path)
    (arrow,) = tmp_path.glob("*/pairs.arrow")
    arrow.write_bytes(arrow.read_bytes()[:-200])
    assert encode(tokenizer, tmp_path)[np.array([59])][0] == tokenizer.source.encode([PAIRS[59][0]])


def test_fingerprints_tell_sides_and_lines_apart() -> None:
    prints = [
        text_fingerprint(pairs)
        for pairs in ([("a", "b")], [("b", "a")], [("a b", "")], [("a", "b"), ("a", "b")], [])
    ]
    assert len(set(prints)) == len(prints)


def test_the_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder("here") == Path("here")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder(None) == Path("/caches/nmt")


def test_a_cache_that_cannot_be_written_is_named(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write the encoded corpus to .*--data.cache"):
        encode(tokenizer, tmp_path / "file")


def updates_of(encoded: EncodedPairs, tokenizer: Tokenizer) -> Updates:
    return Updates(encoded, tokenizer, batch_tokens=64, accumulate=2, seed=1)


def flat(update: Update) -> list[list[int]]:
    return [row for batch in update.batches for row in batch.target.tokens.tolist()]


def test_updates_carry_start_and_end_tokens(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encoded = encode(tokenizer, tmp_path)
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
    updates = updates_of(encode(tokenizer, tmp_path), tokenizer)
    every = list(update_loader(updates, max_epochs=3))
    places = [(update.epoch, update.number) for update in every]
    assert places == [(e, n) for e in range(3) for n in range(len(updates.plan(e)))]
    rest = list(update_loader(updates, start=(1, 2), max_epochs=3, workers=workers))
    skipped = len(updates.plan(0)) + 2
    assert [flat(update) for update in rest] == [flat(update) for update in every[skipped:]]


def test_a_loader_draws_nothing_from_the_global_generator(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Else a resumed run, which makes a new loader, would see other random numbers."""
    updates = updates_of(encode(tokenizer, tmp_path), tokenizer)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    next(iter(update_loader(updates, max_epochs=1)))
    assert torch.equal(torch.get_rng_state(), before)
