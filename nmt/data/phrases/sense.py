"""What goes with what: which words fit each other, and which clauses say something sensible."""

from dataclasses import replace
from functools import cache

from nmt.data.phrases.lexicon import (
    ADJECTIVES,
    ER,
    GIRL,
    IT,
    NOUNS,
    NUMBERS,
    OPPOSITES,
    SIE,
    SPOTS,
    THEY,
    TIMES,
)
from nmt.data.phrases.tree import Clause, Nominal, NounPhrase, Relative, is_indefinite
from nmt.data.phrases.verbs import VERBS
from nmt.data.phrases.words import Adjective, Adverb, Name, Noun, Pronoun, Spot, Verb

Kinds = tuple[str, ...]

COPULA = VERBS["sein"]
# What one deals with often: as a sort (drinks milk), or each time the same one (the door).
SORTS = ("food", "drink", "read", "print", "written", "cooked", "baked")
FAMILIAR = ("person", "kin", "pet", "opening", "room")
# States that pass: they go with an adverb of time.
PASSING = ("müde", "krank", "glücklich", "traurig", "hungrig", "durstig")
OUTSIDE = ("area", "nature", "road")

_ACTIONS = tuple(verb for verb in VERBS.values() if verb.subject and not verb.clausal)
_TIMELESS = ("lieben", "mögen", "wohnen", "verstehen", "haben", "stehen")


def fits(kinds: Kinds, wanted: Kinds) -> bool:
    """Tell whether any of these kinds is wanted."""
    return any(kind in wanted for kind in kinds)


@cache
def nouns_of(*kinds: str) -> tuple[Noun, ...]:
    """Return the nouns of any of these kinds."""
    return tuple(noun for noun in NOUNS.values() if fits(kinds, noun.kinds))


@cache
def adjectives_of(kinds: Kinds, *, lasting: bool = False) -> tuple[Adjective, ...]:
    """Return the adjectives that fit these kinds, all of them or without the passing states."""
    return tuple(
        adjective
        for adjective in ADJECTIVES.values()
        if fits(kinds, adjective.kinds) and not (lasting and adjective.german in PASSING)
    )


@cache
def spots_of(tags: Kinds, *, outside: bool = False) -> tuple[Spot, ...]:
    """Return the places with any of these tags, all or only those in the open."""
    return tuple(
        spot
        for spot in SPOTS
        if fits(tags, spot.tags) and (not outside or fits(spot.noun.kinds, OUTSIDE))
    )


@cache
def times_of(mood: str, *, soon: bool = True) -> tuple[Adverb, ...]:
    """Return the adverbs of time that fit a mood, with or without bald."""
    return tuple(
        adverb
        for adverb in TIMES.values()
        if mood in adverb.moods and (soon or adverb.german != "bald")
    )


@cache
def verbs_of(mood: str, kinds: Kinds) -> tuple[Verb, ...]:
    """Return the verbs that a mood allows to a subject of these kinds."""
    return tuple(
        verb
        for verb in _ACTIONS
        if mood in verb.moods
        and fits(kinds, verb.subject)
        and not (mood == "habit" and verb.object and not fits(verb.object, SORTS + FAMILIAR))
    )


def kinds_of(nominal: Nominal | None) -> Kinds:
    """Return what a nominal is: names, pronouns and wer are persons."""
    if isinstance(nominal, NounPhrase | Relative):
        return nominal.noun.kinds
    return ("person",) if nominal else ()


def clashes(first: Nominal | None, second: Nominal | None) -> bool:
    """Tell whether two nominals of one sentence are, or might be, the same one (ich, mich)."""
    if isinstance(first, Pronoun) and isinstance(second, Pronoun):
        return first.person == second.person
    if isinstance(first, NounPhrase | Relative) and isinstance(second, NounPhrase | Relative):
        return first.noun == second.noun
    return first is not None and first == second


def runs_together(subject: Nominal, found: Nominal) -> bool:
    """Tell whether a name behind the subject could be read with it (die Tante Anna; Paul Anna)."""
    return isinstance(found, Name) and isinstance(subject, Name | NounPhrase)


def opposed(first: Adjective | None, second: Adjective | None) -> bool:
    """Tell whether two adjectives say the same or contradict each other."""
    if first is None or second is None:
        return False
    rows = (row for row in OPPOSITES if first.german in row)
    return first == second or any(second.german in row for row in rows)


def is_vague(nominal: Nominal | None) -> bool:
    """Tell whether a nominal names nobody in particular (ein Mann, zwei Kinder)."""
    return isinstance(nominal, NounPhrase) and (
        nominal.determiner == "ein" or nominal.determiner in NUMBERS
    )


def is_bare(nominal: Nominal) -> bool:
    """Tell whether a noun stands for its sort (milk, books)."""
    if not (isinstance(nominal, NounPhrase) and is_indefinite(nominal)):
        return False
    return nominal.plural or not nominal.noun.plural


def is_active(clause: Clause) -> bool:
    """Tell whether a clause says what someone is doing at this moment."""
    lasting = clause.verb.stative or clause.verb == COPULA or clause.habit
    return clause.tense == "present" and clause.modal is None and not lasting


def allows_time(verb: Verb, mood: str) -> bool:
    """Tell whether an adverb of time is natural with a verb."""
    lasting = mood == "present" and verb.stative and verb.infinitive != "brauchen"
    able = mood == "modal" and verb.modals == ("können",)
    return verb.infinitive not in _TIMELESS and not (lasting or able)


def negated(clause: Clause) -> Clause | None:
    """Return a clause with nicht or kein, or None where neither would be natural."""
    thing = clause.object
    if is_vague(clause.subject) or is_vague(clause.indirect) or clause.habit:
        return None
    # "not three apples" and "does not like any books" are for special occasions.
    special = not is_indefinite(thing) or clause.verb.infinitive == "mögen"
    if is_vague(thing) and special:
        return None
    keeps = clause.verb.needs_place or thing is None
    soon = clause.time is not None and clause.time.german == "bald"
    return replace(
        clause,
        negated=True,
        manner=None,
        phrases=clause.phrases if keeps else (),
        time=None if soon else clause.time,
        front=clause.front and not soon,
    )


def shows_case(nominal: Nominal | None) -> bool:
    """Tell whether nominative and accusative of a nominal differ (der, den Mann; ich, mich)."""
    if isinstance(nominal, Pronoun):
        return nominal.nom != nominal.acc
    if isinstance(nominal, NounPhrase | Relative):
        return nominal.noun.gender == "m" and not nominal.plural
    return False


def shows_roles(clause: Clause) -> bool:
    """Tell whether German shows who does it to whom, when word order does not."""
    things = fits(kinds_of(clause.subject), ("person", "animal")) and not fits(
        kinds_of(clause.object), ("person", "animal", "transport")
    )
    visible = shows_case(clause.subject) or shows_case(clause.object)
    return things or visible or clause.verb.case == "dat"


def pronoun_for(nominal: Nominal) -> Pronoun:
    """Return the pronoun that takes a nominal up again.

    In German it has the gender of the noun (das Mädchen: es), in English that of the person.
    """
    if isinstance(nominal, Pronoun):
        return nominal
    if isinstance(nominal, Name):
        return SIE if nominal.gender == "f" else ER
    if not isinstance(nominal, NounPhrase | Relative):
        raise TypeError(f"no pronoun stands for {nominal!r}")
    gender = nominal.noun.gender
    if nominal.plural:
        return THEY
    if "person" in nominal.noun.kinds and gender != "n":
        return SIE if gender == "f" else ER
    return GIRL if nominal.noun.german == "Mädchen" else IT[gender]


def is_confusing(subject: Nominal, thing: Nominal) -> bool:
    """Tell whether a pronoun for the object could be one for the subject in one language only."""
    first, second = pronoun_for(subject), pronoun_for(thing)
    return (first.nom == second.nom) != (first.english == second.english)
