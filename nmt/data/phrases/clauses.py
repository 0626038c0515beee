"""Random clauses: who does what, where and when, and who is how."""

from dataclasses import replace

from nmt.data.phrases import settings
from nmt.data.phrases.chance import Chance
from nmt.data.phrases.lexicon import DU, FREQUENCIES, ICH, MANNERS, NOUNS, PREPOSITIONS, WIR
from nmt.data.phrases.nominals import (
    ASKERS,
    TELLERS,
    Pronouns,
    noun_phrase,
    object_of,
    other,
    person,
    place_for,
    subject_of,
)
from nmt.data.phrases.sense import (
    COPULA,
    PASSING,
    Kinds,
    adjectives_of,
    allows_time,
    is_vague,
    kinds_of,
    negated,
    opposed,
    times_of,
    verbs_of,
)
from nmt.data.phrases.tree import (
    Clause,
    Nominal,
    NounPhrase,
    Phrase,
    Sentence,
    agreement,
)
from nmt.data.phrases.verbs import MODALS
from nmt.data.phrases.words import Adverb, Verb

_ACTORS = ("person", "beast", "pet", "bird", "transport")
_THINGS = ("flat", "vehicle", "furniture")
_SHARED = ("arbeiten", "tanzen", "singen", "spielen", "schwimmen")
_LONELY = (*_SHARED, "warten", "wohnen")
_LOUD = ("lachen", "weinen", "singen")
_GIVEN = ("kaufen", "kochen", "backen")
_DESCRIBED = tuple(noun for noun in NOUNS.values() if adjectives_of(noun.kinds))
# Adjectives that do not go with sehr.
_ABSOLUTE = ("rot", "blau", "grün", "schwarz", "weiß", "kaputt", "neu", "frisch", "warm")


def statement(chance: Chance) -> Sentence:
    """Return one clause that says what someone does."""
    mood = chance.weigh(settings.MOODS)
    pronouns = (*TELLERS, DU) if mood in ("modal", "habit") else TELLERS
    return Sentence(clause(chance, mood=mood, pronouns=pronouns))


def property_statement(chance: Chance) -> Sentence | None:
    """Return one clause that says how someone or something is."""
    found = property_of(chance, described(chance, (*ASKERS, ICH, WIR)))
    return Sentence(found) if found else None


def clause(
    chance: Chance,
    *,
    mood: str | None = None,
    verb: Verb | None = None,
    subject: Nominal | None = None,
    thing: Nominal | None = None,
    pronouns: Pronouns = TELLERS,
    plain: bool = False,
    negatable: bool = True,
) -> Clause:
    """Return a clause with a full verb.

    Args:
        chance: where the choices come from.
        mood: "present", "past", "modal" or "habit"; "present" if the subject can do nothing else.
        verb: what is done, which must fit mood and subject.
        subject: who acts.
        thing: the object.
        pronouns: those that a random subject may be.
        plain: whether to leave out all that the verb does not need.
        negatable: whether it may be negated, or say nie.
    """
    mood = mood or chance.weigh(settings.MOODS)
    kinds: Kinds = ()
    if verb is None:
        kinds = kinds_of(subject) or (
            _THINGS if chance.happens(settings.THING_SUBJECT) else _ACTORS
        )
        if not verbs_of(mood, kinds):
            mood = "present"
        verb = chance.pick(verbs_of(mood, kinds))
    subject = subject or subject_of(chance, verb, pronouns, kinds)
    if mood == "habit" and is_vague(subject):
        mood = "present"
    found = _with_mood(chance, Clause(subject, verb, object=thing), mood)
    if verb.object and thing is None:
        found = replace(found, object=object_of(chance, verb, subject, habit=found.habit))
    if verb.indirect:
        found = replace(found, indirect=other(chance, subject))
    if not plain:
        found = _with_adverbs(chance, found, mood, negatable)
    found = _with_phrases(chance, found, plain)
    if negatable and chance.happens(settings.NEGATED):
        found = negated(found) or found
    return found


def _with_mood(chance: Chance, clause: Clause, mood: str) -> Clause:
    if mood == "modal":
        modals = clause.verb.modals
        if "animal" in kinds_of(clause.subject):
            modals = tuple(modal for modal in modals if modal in ("können", "wollen", "dürfen"))
        modal = MODALS[chance.pick(modals)]
        past = bool(modal.preterite) and chance.happens(settings.PAST_MODAL)
        return replace(clause, modal=modal, tense="past" if past else "present")
    if mood == "past":
        return replace(clause, tense="past")
    return replace(clause, habit=True) if mood == "habit" else clause


def _with_phrases(chance: Chance, clause: Clause, plain: bool) -> Clause:
    """Add a companion (mit), a receiver (für) or a place."""
    verb, found = clause.verb, []
    if not plain and clause.manner is None and chance.happens(settings.COMPANION):
        if verb.infinitive in _SHARED:
            companion = other(chance, clause.subject, apart=True)
            found.append(Phrase(PREPOSITIONS["mit", "dat"], companion))
        elif verb.infinitive in _GIVEN:
            receiver = other(chance, clause.subject, apart=True)
            found.append(Phrase(PREPOSITIONS["für", "acc"], receiver))
    likely = settings.PLACE_WITH_OBJECT if verb.object else settings.PLACE
    wanted = verb.places and not (plain or found) and chance.happens(likely)
    if wanted or verb.needs_place:
        found.append(place_for(chance, verb, clause.subject, clause.object))
    return replace(clause, phrases=tuple(found)) if found else clause


def _with_adverbs(chance: Chance, clause: Clause, mood: str, negatable: bool) -> Clause:
    """Add an adverb of frequency, manner or time."""
    frequencies = tuple(FREQUENCIES) if negatable else ("immer", "oft", "manchmal")
    if clause.habit and chance.happens(settings.FREQUENCY):
        return replace(clause, frequency=FREQUENCIES[chance.pick(frequencies)])
    manner = _manner(clause)
    if manner and not clause.habit and chance.happens(settings.MANNER):
        return replace(clause, manner=manner)
    if clause.habit or (allows_time(clause.verb, mood) and chance.happens(settings.TIME)):
        return with_time(chance, clause)
    return clause


def with_time(chance: Chance, clause: Clause) -> Clause:
    """Add an adverb of time, in front or in the middle."""
    mood = "past" if clause.tense == "past" else "modal" if clause.modal else "present"
    hasty = not (clause.negated or clause.modal == MODALS["möchten"])
    choices = times_of("habit" if clause.habit else mood, soon=hasty)
    return replace(clause, time=chance.pick(choices), front=chance.happens(settings.FRONT))


def _manner(clause: Clause) -> Adverb | None:
    if clause.verb.infinitive in _LOUD:
        return MANNERS["laut"]
    if clause.verb.infinitive in _LONELY:
        plural = agreement(clause.subject)[1]
        return MANNERS["zusammen" if plural else "allein"]
    return None


def described(chance: Chance, pronouns: Pronouns) -> Nominal:
    """Return someone or something that can be said to be somehow."""
    if chance.happens(0.4):
        return person(chance, pronouns, settings.KNOWN_DETERMINERS)
    return noun_phrase(chance, chance.pick(_DESCRIBED), settings.KNOWN_DETERMINERS)


def property_of(chance: Chance, subject: Nominal) -> Clause | None:
    """Return a clause that says how a subject is, or None if nothing fits."""
    own = subject.adjective if isinstance(subject, NounPhrase) else None
    choices = adjectives_of(kinds_of(subject))
    if not choices:
        return None
    adjective = chance.pick(choices)
    if opposed(own, adjective):
        return None
    past = chance.happens(settings.PAST_PROPERTY)
    found = Clause(subject, COPULA, "past" if past else "present", predicate=adjective)
    if adjective.german not in _ABSOLUTE and chance.happens(settings.DEGREE):
        found = replace(found, degree="sehr")
    elif chance.happens(settings.NEGATED):
        found = replace(found, negated=True)
    if adjective.german in PASSING and chance.happens(settings.TIME):
        found = with_time(chance, found)
    return found
