"""The built-in corpus: what every sample of it must hold."""

import hashlib
import itertools
import os
import re
import subprocess
import sys

import pytest

from nmt.data.phrases import LANGUAGES, SPLITS, lexicon, read_split
from nmt.data.phrases.lexicon import ADJECTIVES, MODALS, NOUNS, PREPOSITIONS, TIMES, VERBS
from nmt.data.phrases.sentences import Chance
from nmt.data.phrases.splits import LENGTHS, SIZES, random_pair

Corpus = dict[str, list[tuple[str, str]]]


def test_each_word_has_one_translation() -> None:
    tables = {
        "nouns": [(noun.german, noun.english) for noun in NOUNS.values()],
        "adjectives": [(word.german, word.english) for word in ADJECTIVES.values()],
        "verbs": [(name, f"{verb.english} {verb.particle}") for name, verb in VERBS.items()],
        "modals": [(name, f"{verb.english} {verb.particle}") for name, verb in MODALS.items()],
        "times": list({pair for times in TIMES.values() for pair in times.items()}),
        "numbers": list(lexicon.NUMBERS.items()),
        "conjunctions and question words": list(lexicon.WORDS.items()),
        "dative prepositions": [pair for pair in PREPOSITIONS.items() if "|" not in pair[0]],
    }
    for name, pairs in tables.items():
        for side in zip(*pairs, strict=True):
            assert len(set(side)) == len(side), name
    forms = [noun.english_plural for noun in NOUNS.values() if noun.plural]
    forms += [noun.english for noun in NOUNS.values()]
    assert len(set(forms)) == len(forms), "an English noun is its own plural"
    assert sum(map(len, tables.values())) >= 180


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return {name: read_split(name) for name in SPLITS}


def test_languages_and_sizes(corpus: Corpus) -> None:
    assert LANGUAGES == ("de", "en")
    assert SPLITS == ("train", "validation", "test", "long")
    assert {name: len(pairs) for name, pairs in corpus.items()} == SIZES
    assert len(set(itertools.chain(*corpus.values()))) >= 20_000


def test_splits_share_no_sentence(corpus: Corpus) -> None:
    for language in range(2):
        texts = [pair[language] for pairs in corpus.values() for pair in pairs]
        assert len(set(texts)) == len(texts)


def test_one_translation_each_way() -> None:
    chance = Chance("bijection")
    english_of: dict[str, str] = {}
    german_of: dict[str, str] = {}
    for number in range(40_000):
        german, english = random_pair(chance, "short" if number % 7 else "long")
        assert english_of.setdefault(german, english) == english
        assert german_of.setdefault(english, german) == german
    assert len(german_of) > 30_000


def test_long_is_longer_than_all_of_train(corpus: Corpus) -> None:
    for language in range(2):
        longest = max(len(pair[language].split()) for pair in corpus["train"])
        assert min(len(pair[language].split()) for pair in corpus["long"]) > longest
    words = [len(text.split()) for pair in corpus["train"] for text in pair]
    assert (min(words), max(words)) == LENGTHS["short"]
    assert 6.5 < sum(words) / len(words) < 9


def _digest(pairs: list[tuple[str, str]]) -> str:
    return hashlib.sha256(repr(pairs).encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_a_seed_gives_the_same_pairs_in_every_process(hash_seed: str) -> None:
    script = (
        "import hashlib; from nmt.data.phrases import read_split;"
        "print(hashlib.sha256(repr(read_split('test', 3)).encode()).hexdigest())"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == _digest(read_split("test", 3))


def test_seeds_differ_and_answers_are_copies() -> None:
    assert _digest(read_split("test", 1)) != _digest(read_split("test", 2))
    read_split("test").clear()
    assert len(read_split("test")) == SIZES["test"]


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(ValueError, match=r"'dev'.*train, validation, test, long"):
        read_split("dev")


def test_typography(corpus: Corpus) -> None:
    plain = re.compile(r"[A-ZÄÖÜ][a-zäöüßA-ZÄÖÜ]*(,? [A-Za-zÄÖÜäöüß]+)*[.?]")
    for german, english in itertools.chain(*corpus.values()):
        assert plain.fullmatch(german) and plain.fullmatch(english), (german, english)
        assert german[-1] == english[-1]
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", english.lower()), english
        assert not re.search(r", (because|that|who|whom|which|whether)\b", english), english
        assert not re.search(r"[^,] (weil|obwohl|dass|ob|aber)\b", german), german


def test_prepositions_with_dative_have_no_other_case(
    corpus: Corpus,
) -> None:
    dative = r"dem|der|den|im|am|(mein|unser|dein)(em|er|en)|denen"
    after = re.compile(rf"\b(unter|hinter|bei|vor) (?!({dative})\b)")
    for german, _ in itertools.chain(*corpus.values()):
        assert not after.search(german), german


def test_every_structure_and_word_occurs_in_train(
    corpus: Corpus,
) -> None:
    german = [pair[0] for pair in corpus["train"]]
    patterns = {
        "verb second": r"^(Heute|Gestern|Jetzt) \w+ (der|die|das) ",
        "separable": r" an\.| auf\.| zu\.| weg\.",
        "separable in a verb-final clause": r", (weil|dass|ob|der|die|das|den) [^,]* "
        r"(an|ab|auf|zu|ein|mit|weg)(ruf|hol|räum|mach|lad|läd|bring|werf|wirf)(e|st|t)[.,]",
        "modal": r" (kann|muss|darf|will|soll|möchte) .*en\.",
        "kein": r"\bkeine[nr]?\b",
        "nicht": r"\bnicht\b",
        "relative": r"\w+, (der|die|das|den|dem|denen) ",
        "preposition and relative": r", in (dem|der|denen) ",
        "modal last": r", weil .* (muss|müssen|musste|mussten)\.",
        "weil": r", weil ",
        "dass": r", dass ",
        "obwohl": r", obwohl ",
        "ob": r", ob ",
        "participle last": r", (weil|dass|ob) .* (ge\w+|ver\w+) (hat|haben|habe|ist|sind)[.,]",
        "number": r"\b(zwei|drei|vier|zehn)\b",
        "question": r"\?$",
    }
    for name, pattern in patterns.items():
        hits = sum(bool(re.search(pattern, text)) for text in german)
        assert hits >= 50, (name, hits)
    counts: dict[str, int] = {}
    for text in german:
        for word in re.findall(r"\w+", text):
            counts[word] = counts.get(word, 0) + 1
    for noun in NOUNS.values():
        forms = {noun.german, noun.oblique, noun.plural, noun.plural + "n"}
        assert sum(counts.get(form, 0) for form in forms) >= 40, noun.german


def test_every_kind_and_place_that_words_name_exists() -> None:
    kinds = {kind for noun in NOUNS.values() for kind in noun.kinds}
    for adjective in ADJECTIVES.values():
        assert set(adjective.kinds) <= kinds, adjective.german
    for name, verb in VERBS.items():
        assert set(verb.subject + verb.object) <= kinds | {""}, name
        tags = {mark.lstrip("@!") for mark in verb.marks if mark.startswith("@")}
        assert tags <= set(lexicon.PLACES), name
    for name, sides in lexicon.REASONS.items():
        assert name in VERBS and len(sides) == 2
        assert {word.strip("!") for side in sides for word in side.split()} <= {*ADJECTIVES, *VERBS}
