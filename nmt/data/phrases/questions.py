"""Random questions: for yes or no, with an adverb (warum), for a nominal (wer) and for a number.

Each function returns None where the choices made nothing sensible.
"""

from dataclasses import replace

from nmt.data.phrases import settings
from nmt.data.phrases.chance import Chance
from nmt.data.phrases.clauses import clause, described, property_of
from nmt.data.phrases.nominals import ASKERS, noun_phrase, person
from nmt.data.phrases.sense import COPULA, is_vague, nouns_of, shows_roles
from nmt.data.phrases.tree import Asked, Clause, NounPhrase, Sentence
from nmt.data.phrases.verbs import VERBS

# Verbs of wo, was, wen, wem and wie viele.
_PLACED = ("arbeiten", "schlafen", "spielen", "warten", "wohnen", "treffen", "tanzen", "sitzen")
_DONE: tuple[str, ...] = (
    "essen",
    "trinken",
    "kochen",
    "backen",
    "kaufen",
    "lesen",
    "schreiben",
    "suchen",
)
_DONE += ("verlieren", "brauchen", "finden", "mitbringen", "reparieren", "verkaufen")
_MET = ("suchen", "sehen", "besuchen", "treffen", "anrufen", "einladen", "abholen", "verstehen")
_HELPED = ("helfen", "danken", "folgen")
_COUNTED = ("essen", "kaufen", "lesen", "schreiben", "finden", "mitbringen", "backen", "waschen")
_LOST = ("person", "pet", "thing", "clothing", "flat", "vehicle")


def yes_no_question(chance: Chance) -> Sentence | None:
    """Return a question with its verb in front."""
    if chance.happens(0.2):
        found = property_of(chance, described(chance, ASKERS))
    else:
        found = clause(chance, pronouns=ASKERS, negatable=False)
    if found is None or found.negated or is_vague(found.subject):
        return None
    return Sentence(replace(found, question="ja", front=False))


def adverb_question(chance: Chance) -> Sentence | None:
    """Return a question with warum, wann or wo."""
    question = chance.pick(("warum", "wann", "wo"))
    if question == "wo":
        found = _where(chance)
    elif question == "wann":
        mood = chance.pick(("past", "modal"))
        found = clause(chance, pronouns=ASKERS, mood=mood, negatable=False)
        if found.verb.stative or mood not in found.verb.moods:
            return None
        found = replace(found, time=None)
    else:
        mood = chance.pick(("present", "past", "modal"))
        found = clause(chance, pronouns=ASKERS, mood=mood)
        if found.verb.stative and not found.negated:
            return None
    if is_vague(found.subject):
        return None
    return Sentence(replace(found, question=question, front=False, manner=None))


def _where(chance: Chance) -> Clause:
    if chance.happens(0.35):
        noun = chance.pick(nouns_of(*_LOST))
        subject = noun_phrase(chance, noun, settings.ASKED_DETERMINERS)
        return Clause(subject, COPULA, chance.pick(("present", "past")))
    verb = VERBS[chance.pick(_PLACED)]
    mood = "past" if verb.infinitive == "treffen" else chance.pick(("present", "past"))
    found = clause(chance, verb=verb, mood=mood, pronouns=ASKERS, negatable=False)
    company = tuple(phrase for phrase in found.phrases if phrase.preposition.german == "mit")
    return replace(found, phrases=company)


def nominal_question(chance: Chance) -> Sentence | None:
    """Return a question with wer, was, wen or wem."""
    mood = chance.pick(("present", "past", "past", "modal"))
    word = chance.pick(("wer", "wer", "was", "was", "wen", "wem"))
    if word == "wer":
        found = clause(chance, subject=Asked(person=True), mood=mood, negatable=False)
    else:
        verbs = {"was": _DONE, "wen": _MET, "wem": _HELPED}[word]
        verb = VERBS[chance.pick(verbs)]
        if mood not in verb.moods:
            mood = "past"
        thing, subject = Asked(person=word != "was"), person(chance, ASKERS)
        found = clause(chance, verb=verb, subject=subject, thing=thing, mood=mood, negatable=False)
    if is_vague(found.subject):
        return None
    return Sentence(replace(found, front=False, manner=None))


def number_question(chance: Chance) -> Sentence | None:
    """Return a question with wie viele."""
    mood = chance.pick(("present", "past", "past", "modal"))
    if chance.happens(0.5):
        noun = chance.pick(nouns_of("person", "pet", "transport"))
        subject = NounPhrase(noun, "wie viele", plural=True)
        found = clause(chance, subject=subject, mood=mood, negatable=False)
    else:
        verb = VERBS[chance.pick(_COUNTED)]
        noun = chance.pick(nouns_of(*verb.object))
        asker = person(chance, ASKERS, settings.KNOWN_DETERMINERS)
        counted = NounPhrase(noun, "wie viele", plural=True)
        found = clause(chance, verb=verb, subject=asker, thing=counted, mood=mood, negatable=False)
    if not noun.plural or "kin" in noun.kinds or not shows_roles(found):
        return None
    return Sentence(replace(found, front=False, manner=None))
