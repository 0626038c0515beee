"""The content of a sentence: clauses, and nominals with their forms in both languages."""

from functools import cache
from typing import NamedTuple

from nmt.data.phrases.lexicon import DETERMINERS, Adjective, Kinds, Noun, Verb

NOM, ACC, DAT, SUBJECT, THING = range(5)
# Articles and endings by case; columns: masculine, feminine, neuter, plural.
DEFINITE = ("der die das die", "den die das die", "dem der dem den")
RELATIVE = (*DEFINITE[:2], "dem der dem denen")
EIN = ("- e - e", "en e - e", "em er em en")
# Adjectives after der, after ein, and after nothing or a number; dieser has the last ones itself.
WEAK = ("e e e en", "en e e en", "en en en en")
MIXED = ("er e es en", "en e es en", "en en en en")
STRONG = ("er e es e", "en e es e", "em er em en")


class Nominal(NamedTuple):
    """Who or what takes part in a clause: its German cases, its English subject and object.

    Its `form` is what verbs agree with: 0 to 3 for ich, du, er and the plural. It leads its clause
    if it is interrogative or a relative pronoun. A pronoun has no noun.
    """

    forms: tuple[str, ...]
    form: int = 2
    kinds: Kinds = ("person",)
    leads: bool = False
    noun: Noun | None = None
    determiner: str = ""
    adjective: Adjective | None = None
    relative: "Clause | None" = None


class Clause(NamedTuple):
    """One verb and what belongs to it.

    The phrase is a preposition of the lexicon and its nominal; the time, a German adverb, stands in
    front or not. A question is "ja" (yes or no), "wer" (its leading nominal asks) or an adverb.
    Another clause comes after a conjunction; `also` holds "und" or "aber" and a main clause.
    """

    subject: Nominal
    verb: Verb
    object: Nominal | None = None
    past: bool = False
    modal: Verb | None = None
    negated: bool = False
    indirect: Nominal | None = None
    predicate: Adjective | None = None
    phrase: tuple[str, Nominal] | None = None
    time: str = ""
    front: bool = False
    question: str = ""
    after: "tuple[str, Clause] | None" = None
    also: "tuple[str, Clause] | None" = None


def _pronoun(words: str, form: int = 2, *, leads: bool = False) -> Nominal:
    return Nominal(tuple(words.split()), form, leads=leads)


ICH, DU = _pronoun("ich mich mir I me", 0), _pronoun("du dich dir you you", 1)
ER, SIE = _pronoun("er ihn ihm he him"), _pronoun("sie sie ihr she her")
WIR, THEY = _pronoun("wir uns uns we us", 3), _pronoun("sie sie ihnen they them", 3)
ES, GIRL = _pronoun("es es ihm it it"), _pronoun("es es ihm she her")
WHO = _pronoun("wer wen wem who whom", leads=True)
WHAT = _pronoun("was was was what what", leads=True)._replace(kinds=())


@cache
def noun_phrase(
    noun: Noun, determiner: str = "", adjective: Adjective | None = None, plural: bool = False
) -> Nominal:
    """Decline a noun. Plurals and uncountable nouns take no ein."""
    uncounted = determiner in ("ein", "kein") and (plural or not noun.plural)
    article = "" if uncounted and determiner == "ein" else determiner
    words = [adjective.english] if adjective else []
    words.append(noun.english_plural if plural else noun.english)
    word = "any" if uncounted and article else DETERMINERS.get(article, "")
    word = "an" if word == "a" and words[0][0] in "aeiou" else word
    words.insert(0, "these" if word == "this" and plural else word)
    english = " ".join(words).strip()
    forms = [_decline(noun, article, adjective, plural, case) for case in (NOM, ACC, DAT)]
    leads = determiner in ("welch", "wie viele")
    forms += [english, english]
    return Nominal(tuple(forms), 3 if plural else 2, noun.kinds, leads, noun, determiner, adjective)


def _decline(noun: Noun, article: str, adjective: Adjective | None, plural: bool, case: int) -> str:
    column = 3 if plural else "mfn".index(noun.gender)
    endings, own = STRONG[case], ""
    if article in ("der", "dies", "welch"):
        endings, own = WEAK[case], STRONG[case]
    elif article in ("ein", "kein", "mein", "dein", "unser"):
        endings, own = MIXED[case], EIN[case]
    if article == "der":
        article, own = DEFINITE[case].split()[column], ""
    article += own.split()[column].strip("-") if own else ""
    word = noun.plural if plural else noun.oblique if case else noun.german
    if plural and case == DAT and word[-1] not in "ns":
        word += "n"
    described = adjective.stem + endings.split()[column] if adjective else ""
    return " ".join(part for part in (article, described, word) if part)


def pronoun_for(thing: Nominal) -> Nominal:
    """Return the pronoun that refers back to a nominal; in German it has the noun's gender."""
    if not thing.noun:
        return thing
    neuter = GIRL if thing.noun.german == "Mädchen" else ES
    pronoun = THEY if thing.form == 3 else {"m": ER, "f": SIE, "n": neuter}[thing.noun.gender]
    if thing.form == 2 and "person" not in thing.kinds:
        pronoun = pronoun._replace(forms=(*pronoun.forms[:SUBJECT], "it", "it"))
    return pronoun._replace(kinds=thing.kinds)


def relative_pronoun(thing: Nominal) -> Nominal:
    """Return the pronoun that stands for a noun phrase in its relative clause."""
    column = 3 if thing.form == 3 or not thing.noun else "mfn".index(thing.noun.gender)
    german = [forms.split()[column] for forms in RELATIVE]
    english = ("who", "whom") if "person" in thing.kinds else ("that", "that")
    return thing._replace(forms=(*german, *english), leads=True, determiner="")
