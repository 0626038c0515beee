"""Random relative clauses and the sentences that hold them.

Each function returns None where the choices made nothing sensible.
"""

import itertools
from dataclasses import replace

from nmt.data.phrases.chance import Chance
from nmt.data.phrases.clauses import clause, property_of, with_time
from nmt.data.phrases.nominals import ANYONE, noun_phrase, person
from nmt.data.phrases.sense import (
    adjectives_of,
    allows_time,
    clashes,
    fits,
    is_active,
    is_bare,
    is_vague,
    nouns_of,
    shows_roles,
    spots_of,
)
from nmt.data.phrases.tree import Clause, NounPhrase, Phrase, Relative, Sentence
from nmt.data.phrases.verbs import VERBS
from nmt.data.phrases.words import Pronoun

_ALIVE = ("person", "animal")
_THINGS = ("thing", "food", "drink", "read", "clothing", "vehicle", "furniture")
_WITH_GAP = tuple(
    verb
    for verb in VERBS.values()
    if verb.object and not (verb.indirect or verb.infinitive in ("haben", "legen"))
)


def relative_subject(chance: Chance) -> Sentence | None:
    """Return a sentence with a relative clause between its subject and its verb."""
    if chance.happens(0.15):
        return _place(chance)
    kinds = _ALIVE if chance.happens(0.5) else _THINGS
    head = noun_phrase(chance, chance.pick(nouns_of(*kinds)), {"der": 1})
    main: Clause | None
    if kinds == _ALIVE and chance.happens(0.6):
        main = clause(chance, subject=head, negatable=False)
    else:
        main = property_of(chance, head)
    return with_relative(chance, main) if main else None


def with_relative(chance: Chance, main: Clause) -> Sentence | None:
    """Return a main clause with a relative clause for its subject."""
    head = main.subject
    if not isinstance(head, NounPhrase) or head.determiner != "der" or "kin" in head.noun.kinds:
        return None
    relative = relative_of(chance, head)
    if relative is None or not _agree(main, relative):
        return None
    if is_active(main) and is_active(relative):
        return None
    return Sentence(replace(main, subject=replace(head, relative=relative), front=False))


def _agree(main: Clause, relative: Clause) -> bool:
    """Tell whether a relative clause goes with its main clause.

    What was so is not told of what is so now; and one verb, one adverb of time and one negation
    are enough.
    """
    twice = (relative.time and main.time) or (relative.negated and main.negated)
    gone = main.tense == "past" and relative.tense == "present"
    return not (twice or gone or relative.verb == main.verb or _mention_one(main, relative))


def _mention_one(main: Clause, relative: Clause) -> bool:
    """Tell whether both clauses name someone for whom the second would say a pronoun."""
    pairs = itertools.product(
        (main.subject, main.object, main.indirect),
        (relative.subject, relative.object, relative.indirect),
    )
    return any(
        clashes(first, second) and not isinstance(second, Relative | Pronoun)
        for first, second in pairs
    )


def _place(chance: Chance) -> Sentence | None:
    """Return a sentence about the place where someone lives or works."""
    spot = chance.pick(spots_of(("live", "work")))
    if spot.preposition.german != "in" or not adjectives_of(spot.noun.kinds):
        return None
    head = noun_phrase(chance, spot.noun, {"der": 1}, plural=0)
    main = property_of(chance, head)
    verb = VERBS["wohnen" if "live" in spot.tags else "arbeiten"]
    mood = chance.pick(("present", "past"))
    found = clause(chance, verb=verb, mood=mood, plain=True, negatable=False)
    if main is None or is_vague(found.subject):
        return None
    gap = Phrase(spot.preposition, Relative(spot.noun))
    relative = replace(found, phrases=(gap,))
    if not _agree(main, relative):
        return None
    return Sentence(replace(main, subject=replace(head, relative=relative)))


def relative_of(chance: Chance, head: NounPhrase) -> Clause | None:
    """Return a clause about a noun, which is its subject or its object."""
    gap = Relative(head.noun, head.plural)
    mood = chance.pick(("present", "past", "past", "modal"))
    if fits(head.noun.kinds, _ALIVE) and chance.happens(0.55):
        found = clause(chance, subject=gap, mood=mood)
        if "person" not in head.noun.kinds and found.modal:
            return None
    else:
        verbs = tuple(
            verb for verb in _WITH_GAP if fits(head.noun.kinds, verb.object) and mood in verb.moods
        )
        if not verbs:
            return None
        verb, subject = chance.pick(verbs), person(chance, ANYONE)
        if clashes(subject, gap) or is_vague(subject):
            return None
        found = clause(
            chance,
            verb=verb,
            subject=subject,
            thing=gap,
            mood=mood,
            plain=True,
            negatable=verb.stative,
        )
        if allows_time(verb, mood) and chance.happens(0.3):
            found = with_time(chance, found)
    if found.object and not shows_roles(found):
        return None
    return replace(found, front=False, manner=None)


def relative_object(chance: Chance) -> Sentence | None:
    """Return a sentence with a relative clause at its end, for the object."""
    main = clause(chance, plain=True, negatable=False)
    head = main.object
    if not isinstance(head, NounPhrase) or main.phrases or main.habit or "kin" in head.noun.kinds:
        return None
    if head.determiner in ("mein", "dein", "unser") or is_bare(head) or is_vague(main.subject):
        return None
    relative = relative_of(chance, head)
    if relative is None or relative.negated or not _agree(main, relative):
        return None
    main = replace(main, object=replace(head, relative=relative))
    if not relative.time and allows_time(main.verb, "past") and chance.happens(0.3):
        # In front: behind the relative clause it would belong to that.
        main = replace(with_time(chance, main), front=True)
    return Sentence(main)
