"""Random nominals: pronouns, names and noun phrases that suit their place in a clause."""

from collections.abc import Mapping
from dataclasses import replace

from nmt.data.phrases import settings
from nmt.data.phrases.chance import Chance
from nmt.data.phrases.lexicon import DU, ER, ICH, NAMES, NUMBERS, SIE, SMALL_NUMBERS, WIR
from nmt.data.phrases.sense import (
    FAMILIAR,
    SORTS,
    Kinds,
    adjectives_of,
    clashes,
    fits,
    nouns_of,
    runs_together,
    spots_of,
)
from nmt.data.phrases.tree import Nominal, NounPhrase, Phrase
from nmt.data.phrases.words import Noun, Pronoun, Spot, Verb

Pronouns = tuple[Pronoun, ...]

TELLERS = (ICH, ER, SIE, WIR)  # du is rare in statements
ASKERS = (DU, ER, SIE)
ANYONE = (ICH, DU, ER, SIE, WIR)
# No sie: as an object it would be "her" and "them".
OBJECT_PRONOUNS = (ICH, DU, ER, WIR)

# Who can be mine.
_OWNED = ("kin", "pet", "vehicle", "furniture", "clothing", "thing", "read", "room", "home")
# Verbs for what is known already: the letter, not a letter.
_KNOWN: tuple[str, ...] = (
    "lieben",
    "mögen",
    "aufmachen",
    "zumachen",
    "aufräumen",
    "verkaufen",
    "legen",
    "waschen",
)
_KNOWN += ("abholen", "verstehen", "folgen")


def person(
    chance: Chance,
    pronouns: Pronouns,
    determiners: Mapping[str, float] = settings.SUBJECT_DETERMINERS,
) -> Nominal:
    """Return a pronoun, a name or a noun phrase for someone who acts."""
    sort = chance.weigh(settings.SUBJECTS)
    if sort == "pronoun":
        return chance.pick(pronouns)
    if sort == "name":
        return chance.pick(tuple(NAMES.values()))
    return noun_phrase(chance, chance.pick(nouns_of("person")), determiners)


def other(chance: Chance, subject: Nominal, *, apart: bool = False) -> Nominal:
    """Return a person to whom the subject does something.

    Args:
        chance: where the choices come from.
        subject: who acts.
        apart: whether something always stands between the two (a preposition).
    """
    while True:
        sort = chance.weigh(settings.OBJECTS)
        if sort == "pronoun":
            found: Nominal = chance.pick(OBJECT_PRONOUNS)
        elif sort == "name":
            found = chance.pick(tuple(NAMES.values()))
        else:
            noun = chance.pick(nouns_of("person"))
            found = noun_phrase(chance, noun, settings.KNOWN_DETERMINERS)
        if not clashes(subject, found) and (apart or not runs_together(subject, found)):
            return found


def subject_of(chance: Chance, verb: Verb, pronouns: Pronouns, kinds: Kinds = ()) -> Nominal:
    """Return someone or something that the verb may be said of, of these kinds if any are given."""
    choices = tuple(kind for kind in verb.subject if not kinds or kind in kinds) or verb.subject
    kind = "person" if "person" in choices and chance.happens(0.7) else chance.pick(choices)
    if kind == "person":
        return person(chance, pronouns)
    return noun_phrase(chance, chance.pick(nouns_of(kind)), settings.KNOWN_DETERMINERS)


def object_of(chance: Chance, verb: Verb, subject: Nominal, *, habit: bool) -> Nominal:
    """Return someone or something that the verb may be done to."""
    kinds = verb.object
    if habit:
        kinds = tuple(kind for kind in kinds if kind in SORTS + FAMILIAR)
    kind = chance.pick(kinds)
    if kind == "person":
        return other(chance, subject)
    while True:
        found = _thing(chance, verb, chance.pick(nouns_of(kind)), habit=habit)
        if not clashes(subject, found):
            return found


def _thing(chance: Chance, verb: Verb, noun: Noun, *, habit: bool) -> NounPhrase:
    """Return an object with the article that suits the verb."""
    generic = habit and not fits(noun.kinds, FAMILIAR)
    if generic or (verb.infinitive == "mögen" and chance.happens(0.3)):
        found = noun_phrase(chance, noun, {"ein": 1}, plural=1)
        return replace(found, determiner="ein")
    if verb.infinitive == "kaufen":
        return noun_phrase(chance, noun, {"der": 1, "ein": 1})
    if verb.infinitive == "haben":
        return noun_phrase(chance, noun, {"ein": 1})
    if verb.infinitive in _KNOWN or fits(noun.kinds, ("room", "opening", "home", "town", "kin")):
        return noun_phrase(chance, noun, settings.KNOWN_DETERMINERS)
    return noun_phrase(chance, noun, settings.OBJECT_DETERMINERS)


def noun_phrase(
    chance: Chance,
    noun: Noun,
    determiners: Mapping[str, float],
    *,
    plural: float | None = None,
    adjective: float = settings.ADJECTIVE,
) -> NounPhrase:
    """Return a noun with an article, a possessive or a number, and perhaps an adjective.

    Args:
        chance: where the choices come from.
        noun: what it names.
        determiners: weights; those that the noun cannot have become others.
        plural: probability of a plural; None for that of the settings.
        adjective: probability of an adjective.
    """
    determiner = chance.weigh(determiners)
    if "kin" in noun.kinds:
        if determiner == "ein" or (determiner == "der" and chance.happens(settings.POSSESSIVE_KIN)):
            determiner = chance.pick(("mein", "unser"))
    elif determiner in ("mein", "dein", "unser") and not fits(noun.kinds, _OWNED):
        determiner = "der"
    if plural is None:
        several = "several" in noun.kinds
        plural = settings.PLURAL_OF_SEVERAL if several else settings.PLURAL
    is_plural = bool(noun.plural) and chance.happens(plural)
    if is_plural and determiner == "ein" and chance.happens(settings.NUMBER):
        many = fits(noun.kinds, ("food", "sent", "print"))
        determiner = chance.pick(tuple(NUMBERS) if many else SMALL_NUMBERS)
    choices = adjectives_of(noun.kinds, lasting=chance.happens(0.6))
    described = chance.pick(choices) if choices and chance.happens(adjective) else None
    return NounPhrase(noun, determiner, described, is_plural)


def place(chance: Chance, spot: Spot) -> Phrase:
    """Return a preposition with its noun."""
    nominal = noun_phrase(
        chance,
        spot.noun,
        settings.PLACE_DETERMINERS,
        plural=0,
        adjective=settings.PLACE_ADJECTIVE,
    )
    return Phrase(spot.preposition, nominal)


def place_for(chance: Chance, verb: Verb, subject: Nominal, thing: Nominal | None) -> Phrase:
    """Return a place where the subject may do it.

    Args:
        chance: where the choices come from.
        verb: what is done.
        subject: who acts; large animals stay outside.
        thing: the object, which is not its own place.
    """
    kinds: Kinds = subject.noun.kinds if isinstance(subject, NounPhrase) else ()
    # A tag that is a kind of subject (vehicle) is the place of these subjects alone.
    tags = tuple(tag for tag in verb.places if tag not in verb.subject or tag in kinds)
    outside = "animal" in kinds and "pet" not in kinds and verb.infinitive == "schlafen"
    while True:
        found = place(chance, chance.pick(spots_of(tags, outside=outside)))
        if not (clashes(found.nominal, subject) or clashes(found.nominal, thing)):
            return found
