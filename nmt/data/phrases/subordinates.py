"""Random sentences with a clause behind dass, ob or wenn.

Each function returns None where the choices made nothing sensible.
"""

from dataclasses import replace

from nmt.data.phrases import reasons
from nmt.data.phrases.causes import rained_off, weather
from nmt.data.phrases.chance import Chance
from nmt.data.phrases.clauses import clause, described, property_of
from nmt.data.phrases.lexicon import ADJECTIVES, DU, ER, ICH, NOUNS, SIE, WIR
from nmt.data.phrases.nominals import ANYONE, TELLERS, person
from nmt.data.phrases.sense import (
    COPULA,
    clashes,
    is_vague,
    negated,
    pronoun_for,
)
from nmt.data.phrases.tree import (
    Clause,
    Nominal,
    NounPhrase,
    Sentence,
    Subordinate,
)
from nmt.data.phrases.verbs import MODALS, VERBS


def that(chance: Chance) -> Sentence | None:
    """Return a sentence with dass."""
    verb = chance.pick(("sagen", "glauben", "denken", "hoffen", "wissen"))
    speaker = person(chance, (ER, SIE) if verb == "sagen" else TELLERS)
    found = _reported(chance, speaker, same=0 if verb == "wissen" else 0.3)
    if found is None or is_vague(speaker):
        return None
    if verb == "hoffen" and not _is_hoped(found):
        return None
    return Sentence(Clause(speaker, VERBS[verb]), after=Subordinate("dass", found))


def _is_hoped(clause: Clause) -> bool:
    """Tell whether one may hope that a clause is true."""
    if clause.predicate and clause.predicate.german not in reasons.HOPED:
        return False
    return not clause.negated and (clause.modal is None or clause.modal.german == "können")


def _reported(chance: Chance, speaker: Nominal, *, same: float) -> Clause | None:
    """Return what someone says; with probability `same` they say it of themselves."""
    found: Clause | None
    if chance.happens(same):
        subject = pronoun_for(speaker)
        found = property_of(chance, subject)
        if chance.happens(0.6):
            found = clause(chance, subject=subject, mood="modal")
    else:
        found = clause(chance, pronouns=(ICH, DU, WIR))
        if chance.happens(0.3):
            found = property_of(chance, described(chance, (ICH, DU, WIR)))
        if found is None or is_vague(found.subject) or clashes(found.subject, speaker):
            return None
    if found is None or clashes(found.object, speaker) or clashes(found.indirect, speaker):
        return None
    return replace(found, front=False)


def whether(chance: Chance) -> Sentence | None:
    """Return a sentence with ob."""
    sort = chance.pick(("fragen", "wissen", "weißt du"))
    speaker: Nominal = DU
    if sort == "weißt du":
        main = Clause(DU, VERBS["wissen"], question="ja")
    else:
        speaker = person(chance, (ER, SIE) if sort == "fragen" else TELLERS)
        main = Clause(speaker, VERBS[sort], negated=sort == "wissen")
    found = _reported(chance, speaker, same=0)
    if found is None or found.negated or is_vague(speaker):
        return None
    if found.frequency and found.frequency.german == "nie":
        return None
    return Sentence(main, after=Subordinate("ob", found))


def condition(chance: Chance) -> Sentence | None:
    """Return a sentence with wenn, in front."""
    sort = chance.weigh({"time": 50, "state": 25, "weather": 25})
    if sort == "weather":
        found = rained_off(chance)
        if found is None:
            return None
        main = replace(found.main, tense="present", time=None, front=False)
        return Sentence(main, before=Subordinate("wenn", weather(chance, "present")))
    subject = person(chance, ANYONE)
    verbs = reasons.PLEASURES if sort == "time" else reasons.EFFORTS
    main = clause(
        chance,
        verb=VERBS[chance.pick(verbs)],
        mood="modal",
        subject=pronoun_for(subject),
        plain=True,
        negatable=False,
    )
    if is_vague(subject) or clashes(main.object, subject) or clashes(main.indirect, subject):
        return None
    if sort == "time":
        before = Clause(subject, VERBS["haben"], object=NounPhrase(NOUNS["Zeit"], "ein"))
        modal = "können" if subject == DU else chance.pick(("können", "möchten", "wollen"))
        main = replace(main, modal=MODALS[modal], tense="present")
        return Sentence(main, before=Subordinate("wenn", before))
    return _when_unwell(chance, subject, main)


def _when_unwell(chance: Chance, subject: Nominal, main: Clause) -> Sentence | None:
    """Return what someone need not or must not do if they are sick or tired."""
    adjective = ADJECTIVES[chance.pick(("müde", "krank"))]
    if isinstance(subject, NounPhrase) and subject.adjective in (
        ADJECTIVES["müde"],
        ADJECTIVES["krank"],
    ):
        return None
    modal = MODALS[chance.pick(("müssen", "dürfen", "sollen"))]
    found = negated(replace(main, modal=modal, tense="present"))
    if found is None:
        return None
    before = Clause(subject, COPULA, predicate=adjective)
    return Sentence(found, before=Subordinate("wenn", before))
