"""What two splits have in common, counted by hand."""

from nmt.preflight.leakage import Overlap, find_overlaps

TEST = [("ein Hund", "a dog"), ("eine Katze", "a cat"), ("ein Hund", "a dog"), ("", "empty")]


def test_sources_targets_and_pairs_are_looked_up_in_train() -> None:
    train = [
        ("ein  Hund\t", " a dog"),  # a pair, white space aside
        ("eine Katze", "a kitten"),  # a source
        ("ein Kater", "a cat"),  # a target
        ("", "nothing"),  # nothing is no sentence
    ]
    assert find_overlaps(iter(train), {"test": TEST}) == [
        Overlap("test", "train", size=4, pairs=2, sources=3, targets=3)
    ]


def test_case_and_single_words_do_not_count() -> None:
    train = [("Ein Hund", "A dog"), ("Hund", "dog"), ("einHund", "adog")]
    (overlap,) = find_overlaps(train, {"test": TEST})
    assert (overlap.pairs, overlap.sources, overlap.targets) == (0, 0, 0)


def test_source_and_target_of_two_pairs_are_no_pair() -> None:
    (overlap,) = find_overlaps([("ein Hund", "x"), ("y", "a dog")], {"test": TEST})
    assert (overlap.pairs, overlap.sources, overlap.targets) == (0, 2, 2)


def test_held_out_splits_are_compared_with_those_before_them() -> None:
    splits = {
        "validation": TEST,
        "test": [(f"{source} ", target) for source, target in TEST],
        "other": [TEST[1], ("Haus", "house")],
    }
    found = {(one.split, one.other): one for one in find_overlaps([("x", "y")], splits)}
    assert found["test", "validation"].pairs == 3  # all that are sentences
    assert found["other", "validation"] == Overlap("other", "validation", 2, 1, 1, 1)
    assert found["validation", "train"].pairs == 0
    assert len(found) == 6
