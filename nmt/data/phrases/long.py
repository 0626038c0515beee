"""Random long sentences: the constructions of the others, two at a time.

Each function returns None where the choices made nothing sensible.
"""

from dataclasses import replace

from nmt.data.phrases.causes import because
from nmt.data.phrases.chance import Chance
from nmt.data.phrases.clauses import clause
from nmt.data.phrases.lexicon import ER, ICH, WIR
from nmt.data.phrases.nominals import TELLERS, person
from nmt.data.phrases.relatives import relative_object, relative_subject, with_relative
from nmt.data.phrases.sense import clashes, is_vague
from nmt.data.phrases.subordinates import condition, that
from nmt.data.phrases.tree import Sentence, Subordinate

# Not er or sie: they would be someone of the first clause.
NEW = (ICH, WIR)


def two_statements(chance: Chance) -> Sentence | None:
    """Return two main clauses with und or aber, or three."""
    mood = chance.pick(("present", "past", "modal"))
    first = Sentence(clause(chance, mood=mood, subject=person(chance, TELLERS)))
    if chance.happens(0.7):
        return _joined(chance, first)
    second = Sentence(clause(chance, mood=mood, subject=person(chance, NEW)))
    last = _joined(chance, second)
    found = _joined(chance, first, replace(last, joint="aber")) if last else None
    return replace(found, joint="und") if found else None


def _joined(chance: Chance, first: Sentence, second: Sentence | None = None) -> Sentence | None:
    """Join a statement about someone else, at the same time."""
    past = first.main.tense == "past"
    if second is None:
        mood = "past" if past else "modal" if first.main.modal else "present"
        second = Sentence(clause(chance, mood=mood, subject=person(chance, NEW)))
    other = second.main
    if (other.tense == "past") != past or other.object == ER or first.main.verb == other.verb:
        return None
    before = first.before.clause.subject if first.before else None
    if is_vague(first.main.subject) or is_vague(other.subject):
        return None
    if clashes(first.main.subject, other.subject) or clashes(before, other.subject):
        return None
    other = replace(other, time=None, front=False)
    return replace(first, joint=chance.pick(("und", "aber")), also=replace(second, main=other))


def relative_and_statement(chance: Chance) -> Sentence | None:
    """Return a sentence with a relative clause and another main clause."""
    maker = chance.pick((relative_subject, relative_object))
    found = maker(chance)
    return _joined(chance, found) if found else None


def reason_and_statement(chance: Chance) -> Sentence | None:
    """Return a sentence with weil and another main clause."""
    found = because(chance)
    return _joined(chance, found) if found else None


def condition_and_statement(chance: Chance) -> Sentence | None:
    """Return a sentence with wenn and another main clause."""
    found = condition(chance)
    return _joined(chance, found) if found else None


def reported_reason(chance: Chance) -> Sentence | None:
    """Return a sentence with dass, and weil within that."""
    matrix, reason = that(chance), because(chance)
    if matrix is None or reason is None or reason.after is None or is_vague(reason.main.subject):
        return None
    if matrix.main.verb.infinitive == "hoffen":
        return None
    nominals = (reason.main.subject, reason.main.object, reason.main.indirect)
    if any(clashes(matrix.main.subject, nominal) for nominal in nominals):
        return None
    said = replace(reason.main, front=False)
    return replace(matrix, after=Subordinate("dass", said, reason.after))


def relative_and_reason(chance: Chance) -> Sentence | None:
    """Return a sentence with a relative clause for its subject, and weil."""
    reason = because(chance)
    found = with_relative(chance, reason.main) if reason else None
    if reason is None or found is None:
        return None
    return replace(found, after=reason.after)
