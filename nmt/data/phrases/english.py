"""Puts a `Sentence` in English: agreement, the progressive, do-support and inversion."""

from nmt.data.phrases.lexicon import CONJUNCTIONS, DEGREES, NUMBERS
from nmt.data.phrases.tree import (
    Asked,
    Clause,
    Nominal,
    Phrase,
    Relative,
    Sentence,
    Subordinate,
    Tense,
    agreement,
    is_asked,
    is_indefinite,
    is_question,
    moves,
)
from nmt.data.phrases.words import Modal, Name, Pronoun

_DETERMINERS = {
    "der": "the",
    "mein": "my",
    "dein": "your",
    "unser": "our",
    "wie viele": "how many",
    **NUMBERS,
}
_ADVERBS = {"warum": "why", "wann": "when", "wo": "where"}
_JOINTS = {"und": "and", "aber": "but"}


def sentence(tree: Sentence) -> str:
    """Return the sentence with its capital and its punctuation."""
    text = _joined(tree) + ("?" if is_question(tree.main) else ".")
    return text[0].upper() + text[1:]


def _joined(tree: Sentence) -> str:
    text = _clause(tree.main)
    if tree.before:
        text = f"{subordinate(tree.before)}, {text}"
    if tree.after:
        text = f"{text} {subordinate(tree.after)}"
    return f"{text}, {_JOINTS[tree.joint]} {_joined(tree.also)}" if tree.also else text


def subordinate(tree: Subordinate) -> str:
    """Return a clause behind its conjunction, with the clause that it carries."""
    text = f"{CONJUNCTIONS[tree.conjunction]} {_clause(tree.clause)}"
    return f"{text} {subordinate(tree.after)}" if tree.after else text


def _clause(clause: Clause) -> str:
    """Return a statement, a question or a relative clause: they differ in their first words."""
    inverted = is_question(clause) and not is_asked(clause.subject)
    auxiliary, verb = _verbs(clause, supported=inverted or clause.negated)
    negation = "not" if clause.negated else ""
    if auxiliary == "can" and negation and not inverted:
        auxiliary, negation = "cannot", ""
    subject = _nominal(clause.subject)
    start = [auxiliary, subject] if inverted else [subject, auxiliary]
    frequency = clause.frequency.english if clause.frequency else ""
    words = [_opening(clause), *start, negation, frequency, verb, *_complements(clause)]
    return " ".join(word for word in words if word)


def _opening(clause: Clause) -> str:
    """Return the adverb, the question word or the relative pronoun before the subject, or ""."""
    if clause.question and clause.question != "ja":
        return _ADVERBS[clause.question]
    if clause.front and clause.time:
        return clause.time.english
    for nominal in (clause.indirect, clause.object):
        if nominal and moves(nominal):
            return _nominal(nominal, subject=False)
    return " ".join(_phrase(phrase) for phrase in clause.phrases if moves(phrase.nominal))


def _verbs(clause: Clause, *, supported: bool) -> tuple[str, str]:
    """Return the auxiliary, or "" for none, and the rest of the verbs.

    Args:
        clause: what to say.
        supported: whether an auxiliary is needed, for not or to change places with the subject.
    """
    verb, past = clause.verb, clause.tense == "past"
    person, plural = agreement(clause.subject)
    third = person == 3 and not plural
    be = _be(clause.tense, person, plural)
    if clause.modal:
        return _modal(clause.modal, verb.english, be, past=past, third=third, supported=supported)
    if verb.german == "sein":
        return be, ""
    if not (past or verb.stative or clause.habit):
        return be, verb.english_ing
    if supported:
        return _do(past, third), verb.english
    return "", verb.english_past if past else verb.english_third if third else verb.english


def _modal(
    modal: Modal, infinitive: str, be: str, *, past: bool, third: bool, supported: bool
) -> tuple[str, str]:
    """Return the auxiliary and the rest for a modal (can read; does not have to read)."""
    rest = f"{modal.rest} {infinitive}".strip()
    if modal.support == "be":
        return be, rest
    if modal.support == "do" and supported:
        return _do(past, third), f"{modal.english} {rest}"
    form = modal.english_past if past else modal.english_third if third else modal.english
    return (form, rest) if modal.support == "aux" else ("", f"{form} {rest}")


def _be(tense: Tense, person: int, plural: bool) -> str:
    if tense == "past":
        return "were" if plural or person == 2 else "was"
    return "are" if plural else {1: "am", 2: "are", 3: "is"}[person]


def _do(past: bool, third: bool) -> str:
    return "did" if past else "does" if third else "do"


def _complements(clause: Clause) -> list[str]:
    """Return what follows the verb: particle, objects, predicate, manner, place, time."""
    words = [
        _nominal(nominal, subject=False, negated=clause.negated)
        for nominal in (clause.indirect, clause.object)
        if nominal and not moves(nominal)
    ]
    after_pronoun = clause.verb.movable and isinstance(clause.object, Pronoun)
    words.insert(len(words) if after_pronoun else 0, clause.verb.particle)
    if clause.predicate:
        words += [DEGREES.get(clause.degree, ""), clause.predicate.english]
    if clause.manner:
        words.append(clause.manner.english)
    words += [_phrase(phrase) for phrase in clause.phrases if not moves(phrase.nominal)]
    if clause.time and not clause.front:
        words.append(clause.time.english)
    return words


def _phrase(phrase: Phrase) -> str:
    nominal = phrase.nominal
    if isinstance(nominal, Relative):
        pronoun = "whom" if "person" in nominal.noun.kinds else "which"
        return f"{phrase.preposition.english} {pronoun}"
    return f"{phrase.preposition.english} {_nominal(nominal, subject=False)}"


def _nominal(nominal: Nominal, *, subject: bool = True, negated: bool = False) -> str:
    """Return a nominal as a subject or an object; `negated` puts any where there is no article."""
    match nominal:
        case Name():
            return nominal.text
        case Pronoun():
            return nominal.english if subject else nominal.english_object
        case Asked():
            return ("who" if subject else "whom") if nominal.person else "what"
        case Relative():
            if "person" not in nominal.noun.kinds:
                return "that"
            return "who" if subject else "whom"
    noun, plural = nominal.noun, nominal.plural
    adjective = nominal.adjective.english if nominal.adjective else ""
    head = noun.english_plural if plural else noun.english
    words = [adjective, head] if adjective else [head]
    if not is_indefinite(nominal):
        words.insert(0, _DETERMINERS[nominal.determiner])
    elif noun.plural and not plural:
        words.insert(0, "an" if words[0][0] in "aeiou" else "a")
    elif negated:
        words.insert(0, "any")
    text = " ".join(words)
    return f"{text} {_clause(nominal.relative)}" if nominal.relative else text
