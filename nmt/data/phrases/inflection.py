"""German forms: articles, adjective endings, nouns, pronouns and finite verbs."""

from nmt.data.phrases.tree import Tense
from nmt.data.phrases.words import Case, Gender, Modal, Noun, Verb

# Rows are cases; columns are masculine, feminine, neuter, plural.
_COLUMNS = {"m": 0, "f": 1, "n": 2}
DEFINITE = {
    "nom": ("der", "die", "das", "die"),
    "acc": ("den", "die", "das", "die"),
    "dat": ("dem", "der", "dem", "den"),
}
RELATIVE = DEFINITE | {"dat": ("dem", "der", "dem", "denen")}
# Endings of ein, kein, mein, dein, unser.
EIN = {
    "nom": ("", "e", "", "e"),
    "acc": ("en", "e", "", "e"),
    "dat": ("em", "er", "em", "en"),
}
# Adjective endings after der (weak), after ein-words (mixed), after nothing or a number (strong).
WEAK = {
    "nom": ("e", "e", "e", "en"),
    "acc": ("en", "e", "e", "en"),
    "dat": ("en", "en", "en", "en"),
}
MIXED = {
    "nom": ("er", "e", "es", "en"),
    "acc": ("en", "e", "es", "en"),
    "dat": ("en", "en", "en", "en"),
}
STRONG = {
    "nom": ("er", "e", "es", "e"),
    "acc": ("en", "e", "es", "e"),
    "dat": ("em", "er", "em", "en"),
}
EIN_WORDS = ("ein", "kein", "mein", "dein", "unser")

# Prepositions that merge with the article (im, beim).
MERGED = {("in", "dem"): "im", ("an", "dem"): "am", ("bei", "dem"): "beim", ("in", "das"): "ins"}

_SEIN = {
    "present": ("bin", "bist", "ist", "sind"),
    "past": ("war", "warst", "war", "waren"),
}


def article(determiner: str, gender: Gender, plural: bool, case: Case) -> tuple[str, str]:
    """Return a determiner as it stands before a noun, and the ending of an adjective behind it.

    Args:
        determiner: "der", one of `EIN_WORDS`, "" for none, or a word without endings (a number).
        gender: of the noun.
        plural: whether the noun is plural.
        case: of the noun phrase.
    """
    column = 3 if plural else _COLUMNS[gender]
    if determiner == "der":
        return DEFINITE[case][column], WEAK[case][column]
    if determiner in EIN_WORDS:
        return determiner + EIN[case][column], MIXED[case][column]
    return determiner, STRONG[case][column]


def relative_pronoun(gender: Gender, plural: bool, case: Case) -> str:
    """Return der, die, das and their cases as they open a relative clause."""
    return RELATIVE[case][3 if plural else _COLUMNS[gender]]


def noun_form(noun: Noun, plural: bool, case: Case) -> str:
    """Return a noun in number and case (den Jungen, den Kindern)."""
    if plural:
        return noun.plural + ("n" if case == "dat" and noun.plural[-1] not in "ns" else "")
    return noun.german if case == "nom" else noun.oblique


def present(infinitive: str, third: str, person: int, plural: bool) -> str:
    """Return the present of a verb or modal from its infinitive and its third person singular."""
    if plural:
        return infinitive
    if person == 3:
        return third
    if third.endswith("t"):
        if person == 1:
            return infinitive.removesuffix("n").removesuffix("e") + "e"
        return _second(third.removesuffix("t"))
    return third if person == 1 else _second(third)


def _second(stem: str) -> str:
    return stem + ("t" if stem[-1] in "sßz" else "st")


def preterite(third: str, person: int, plural: bool) -> str:
    """Return the past of a verb in -te from its third person singular (konnte)."""
    if plural:
        return third + "n"
    return third + "st" if person == 2 else third


def sein(tense: Tense, person: int, plural: bool) -> str:
    """Return the forms of sein."""
    return _SEIN[tense][3 if plural else person - 1]


def auxiliary(verb: Verb, person: int, plural: bool) -> str:
    """Return haben or sein as the finite verb of a Perfekt."""
    if verb.auxiliary == "sein":
        return sein("present", person, plural)
    return present("haben", "hat", person, plural)


def modal_form(modal: Modal, past: bool, person: int, plural: bool) -> str:
    """Return a modal verb, as its clause agrees with it."""
    if past:
        return preterite(modal.preterite, person, plural)
    return present(modal.german, modal.third, person, plural)
