"""Random sentences with a reason (weil), or with a reason against (obwohl).

Each function returns None where the choices made nothing sensible.
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace

from nmt.data.phrases import reasons, settings
from nmt.data.phrases.chance import Chance
from nmt.data.phrases.clauses import clause
from nmt.data.phrases.lexicon import ADJECTIVES, IT
from nmt.data.phrases.sense import (
    COPULA,
    OUTSIDE,
    clashes,
    fits,
    is_bare,
    is_confusing,
    kinds_of,
    negated,
    opposed,
    pronoun_for,
)
from nmt.data.phrases.tree import (
    Clause,
    Nominal,
    NounPhrase,
    Sentence,
    Subordinate,
    Tense,
    is_indefinite,
)
from nmt.data.phrases.verbs import MODALS, VERBS
from nmt.data.phrases.words import Pronoun


def because(chance: Chance) -> Sentence | None:
    """Return a sentence with weil."""
    sort = chance.weigh({"subject": 20, "object": 20, "wanted": 20, "duty": 30, "weather": 10})
    if sort == "subject":
        return _subject_state(chance, "weil", reasons.SUBJECT_BECAUSE)
    if sort == "object":
        return _object_state(chance, "weil", reasons.OBJECT_BECAUSE)
    if sort == "wanted":
        return _wanted(chance)
    return _duty(chance) if sort == "duty" else rained_off(chance)


def although(chance: Chance) -> Sentence | None:
    """Return a sentence with obwohl."""
    sort = chance.weigh({"subject": 40, "object": 40, "weather": 20})
    if sort == "subject":
        return _subject_state(chance, "obwohl", reasons.SUBJECT_ALTHOUGH)
    if sort == "object":
        return _object_state(chance, "obwohl", reasons.OBJECT_ALTHOUGH)
    mood = chance.pick(("present", "past"))
    main = _outdoors(chance, mood)
    return (
        Sentence(main, after=Subordinate("obwohl", weather(chance, main.tense))) if main else None
    )


def _main(chance: Chance, verb: str, *, negate: bool) -> Clause | None:
    """Return a clause in the present or the past that is to have a reason."""
    mood = chance.pick(("present", "past"))
    found = clause(chance, verb=VERBS[verb], mood=mood, negatable=False)
    found = replace(found, manner=None)
    if not negate:
        return found
    return negated(found if found.verb.needs_place else replace(found, phrases=()))


def _subject_state(
    chance: Chance, conjunction: str, table: Mapping[bool, Mapping[str, str]]
) -> Sentence | None:
    """Return what someone does because, or although, they are in some state."""
    negate = chance.happens(0.4)
    verb = chance.pick(tuple(table[negate]))
    main = _main(chance, verb, negate=negate)
    if main is None:
        return None
    return _with_state(chance, main, main.subject, conjunction, table[negate][verb])


def _object_state(
    chance: Chance, conjunction: str, table: Mapping[bool, Mapping[str, str]]
) -> Sentence | None:
    """Return what someone does to something because, or although, it is in some state."""
    negate = chance.happens(0.35)
    verb = chance.pick(tuple(table[negate]))
    main = _main(chance, verb, negate=negate)
    if main is None or not _can_be_resumed(main):
        return None
    return _with_state(chance, main, main.object, conjunction, table[negate][verb])


def _can_be_resumed(main: Clause) -> bool:
    """Tell whether a pronoun can take up the object, and that without mistake."""
    thing = main.object
    if thing is None or isinstance(thing, Pronoun) or is_confusing(main.subject, thing):
        return False
    return not (is_bare(thing) or (main.negated and is_indefinite(thing)))


def _with_state(
    chance: Chance, main: Clause, about: Nominal | None, conjunction: str, states: str
) -> Sentence | None:
    """Add a clause that says which of the states the subject or object is in."""
    adjective = ADJECTIVES[chance.pick(states.split())]
    if about is None or not fits(kinds_of(about), adjective.kinds):
        return None
    if isinstance(about, NounPhrase) and opposed(about.adjective, adjective):
        return None
    degree = ""
    if adjective.german not in ("kaputt", "neu", "frisch") and chance.happens(settings.DEGREE):
        # What is too expensive is not bought.
        excess = conjunction == "weil" and main.negated and about is main.object
        degree = "zu" if excess and adjective.german not in ("krank",) else "sehr"
    pronoun = pronoun_for(about)
    state = Clause(pronoun, COPULA, main.tense, predicate=adjective, degree=degree)
    return Sentence(main, after=Subordinate(conjunction, state))


def _wanted(chance: Chance) -> Sentence | None:
    """Return what someone does to something because they need, like or love it, or do not."""
    negate = chance.happens(0.4)
    table = reasons.WANTED[negate]
    verb = chance.pick(tuple(table))
    main = _main(chance, verb, negate=negate)
    if main is None or main.object is None or not _can_be_resumed(main):
        return None
    *no, wish = chance.pick(table[verb]).split()
    if not fits(kinds_of(main.object), VERBS[wish].object):
        return None
    reason = Clause(
        pronoun_for(main.subject),
        VERBS[wish],
        main.tense,
        negated=bool(no),
        object=pronoun_for(main.object),
    )
    return Sentence(main, after=Subordinate("weil", reason))


def _duty(chance: Chance) -> Sentence | None:
    """Return what someone cannot do because they have to do something else."""
    first, second = chance.pick(reasons.PLEASURES), chance.pick(reasons.DUTIES)
    if first == second:
        return None
    main = clause(chance, verb=VERBS[first], mood="modal", negatable=False)
    modal = MODALS[chance.pick(("können", "können", "dürfen"))]
    found = negated(replace(main, modal=modal))
    if found is None:
        return None
    reason = clause(
        chance,
        verb=VERBS[second],
        mood="modal",
        subject=pronoun_for(found.subject),
        plain=True,
        negatable=False,
    )
    pairs = itertools.product((reason.object, reason.indirect), (found.subject, found.object))
    if any(clashes(first, second) for first, second in pairs):
        return None
    reason = replace(reason, modal=MODALS["müssen"], tense=found.tense)
    return Sentence(found, after=Subordinate("weil", reason))


def _outdoors(chance: Chance, mood: str) -> Clause | None:
    """Return what someone does in the open."""
    verb = VERBS[chance.pick(reasons.OUTDOORS)]
    main = clause(chance, verb=verb, mood=mood, negatable=False)
    if not any(fits(kinds_of(phrase.nominal), OUTSIDE) for phrase in main.phrases):
        return None
    return replace(main, manner=None)


def rained_off(chance: Chance) -> Sentence | None:
    """Return what the weather keeps someone from doing."""
    main = _outdoors(chance, "modal")
    if main is None:
        return None
    modal = MODALS[chance.pick(("können", "dürfen"))]
    found = negated(replace(main, modal=modal))
    if found is None:
        return None
    if found.tense == "present":
        found = replace(found, time=None, front=False)
    return Sentence(found, after=Subordinate("weil", weather(chance, found.tense)))


def weather(chance: Chance, tense: Tense) -> Clause:
    """Return a clause about the weather that keeps people inside."""
    if chance.happens(0.5):
        return Clause(IT["n"], VERBS["regnen"], tense)
    adjective = ADJECTIVES[chance.pick(("kalt", "dunkel"))]
    return Clause(IT["n"], COPULA, tense, predicate=adjective)
