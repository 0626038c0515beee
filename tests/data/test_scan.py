"""The first pass: fingerprints as they always were, and sizes by place."""

import hashlib

from nmt.data.chunks import CHUNK
from nmt.data.corpus import Corpus
from nmt.data.scan import scan_corpus, text_fingerprint


def test_fingerprints_tell_sides_and_lines_apart() -> None:
    prints = [
        text_fingerprint(pairs)
        for pairs in ([("a", "b")], [("b", "a")], [("a b", "")], [("a", "b"), ("a", "b")], [])
    ]
    assert len(set(prints)) == len(prints)


def test_a_survey_counts_by_place_and_reads_the_other_splits() -> None:
    many = [(str(number), "\udcff") for number in range(CHUNK + 3)]  # half a surrogate, too
    places = {"a": [("x", "y")], "b": many, "v": [("1", "2")]}
    train = ["a", {"place": "b", "weight": 2.0}, "a"]
    corpus = Corpus("made", {"train": train, "validation": "v"}, lambda name: iter(places[name]))
    found = scan_corpus(corpus)
    assert (found.sizes, found.pairs) == ((1, CHUNK + 3, 1), CHUNK + 5)
    assert found.held_out == {"validation": [("1", "2")]}
    text = "".join(f"{s}\n{t}\n" for s, t in [("x", "y"), *many, ("x", "y")])
    expected = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    assert found.fingerprint == expected
