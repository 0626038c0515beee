"""Puts a `Sentence` in German: case and agreement, verb-second and verb-final order."""

from nmt.data.phrases import inflection
from nmt.data.phrases.tree import (
    Asked,
    Clause,
    Nominal,
    NounPhrase,
    Phrase,
    Relative,
    Sentence,
    Subordinate,
    agreement,
    is_asked,
    is_indefinite,
    is_question,
    moves,
)
from nmt.data.phrases.words import Case, Name, Pronoun

_ASKED = {"nom": "wer", "acc": "wen", "dat": "wem"}


def sentence(tree: Sentence) -> str:
    """Return the sentence with its capital and its punctuation."""
    text = _joined(tree).replace(" , ,", ",").replace(" ,", ",").rstrip(",")
    return text[0].upper() + text[1:] + ("?" if is_question(tree.main) else ".")


def _joined(tree: Sentence) -> str:
    """Return the words of a sentence; each comma stands alone and may be doubled or last."""
    parts = [main_clause(tree.main, fronted=tree.before is not None)]
    if tree.before:
        parts.insert(0, f"{subordinate(tree.before)} ,")
    if tree.after:
        parts.append(f", {subordinate(tree.after)}")
    if tree.also:
        # A comma before aber always, before und only where it closes a clause.
        comma = ", " if tree.joint == "aber" or tree.after else ""
        parts.append(f"{comma}{tree.joint} {_joined(tree.also)}")
    return " ".join(parts)


def subordinate(tree: Subordinate) -> str:
    """Return a verb-final clause behind its conjunction, with the clause that it carries."""
    text = f"{tree.conjunction} {verb_final(tree.clause)}"
    return f"{text} , {subordinate(tree.after)}" if tree.after else text


def main_clause(clause: Clause, *, fronted: bool = False) -> str:
    """Return a clause in verb-second order, or verb-first if it is a question for yes or no.

    Args:
        clause: what to say.
        fronted: whether something before the clause takes the first place, as a wenn clause does.
    """
    verb, tail = _verbs(clause)
    subject = _nominal(clause.subject, "nom")
    if clause.question and clause.question != "ja":
        front = clause.question
    elif clause.front and clause.time:
        front = clause.time.german
    else:
        front = _moved(clause)
    if not (front or fronted or clause.question) or is_asked(clause.subject):
        front, subject = subject, ""
    words = [front, verb, subject, *_middle(clause), *tail, _extraposed(clause)]
    return " ".join(word for word in words if word)


def verb_final(clause: Clause) -> str:
    """Return a clause with its finite verb at the end."""
    verb, tail = _verbs(clause)
    if clause.verb.prefix and tail == [clause.verb.prefix]:
        verb, tail = clause.verb.prefix + verb, []
    subject = _nominal(clause.subject, "nom")
    words = [_moved(clause), subject, *_middle(clause), *tail, verb, _extraposed(clause)]
    return " ".join(word for word in words if word)


def _verbs(clause: Clause) -> tuple[str, list[str]]:
    """Return the finite verb of a main clause and what closes the clause (prefix, participle)."""
    person, plural = agreement(clause.subject)
    verb, past = clause.verb, clause.tense == "past"
    if clause.modal:
        return inflection.modal_form(clause.modal, past, person, plural), [verb.infinitive]
    if verb.german == "sein":
        return inflection.sein(clause.tense, person, plural), []
    if past and verb.preterite:
        return inflection.preterite(verb.preterite, person, plural), []
    if past:
        return inflection.auxiliary(verb, person, plural), [verb.participle]
    present = inflection.present(verb.german, verb.third, person, plural)
    return present, [verb.prefix] if verb.prefix else []


def _middle(clause: Clause) -> list[str]:
    """Return what stands between the verbs: pronouns, time, objects, nicht, manner, place."""
    before = _object(clause.indirect, "dat")
    times = [] if clause.front or clause.time is None else [clause.time.german]
    times += [clause.frequency.german] if clause.frequency else []
    with_kein = clause.negated and is_indefinite(clause.object)
    after = _object(clause.object, clause.verb.case, negated=with_kein)
    definite = clause.negated and not with_kein
    if definite or clause.verb.case == "dat" or isinstance(clause.object, Pronoun):
        # Known objects precede the adverb: "das Buch heute nicht", "dem Kind heute".
        middle = [*before, *after, *times]
    else:
        middle = [*before, *times, *after]
    if definite:
        middle.append("nicht")
    if clause.manner:
        middle.append(clause.manner.german)
    middle += [_phrase(phrase) for phrase in clause.phrases if not moves(phrase.nominal)]
    predicate = [clause.degree, clause.predicate.german] if clause.predicate else []
    return middle + predicate


def _object(nominal: Nominal | None, case: Case, *, negated: bool = False) -> list[str]:
    """Return an object that stays in its place, without its relative clause."""
    if nominal is None or moves(nominal):
        return []
    if isinstance(nominal, NounPhrase):
        return [_noun_phrase(nominal, case, negated=negated)]
    return [_nominal(nominal, case)]


def _moved(clause: Clause) -> str:
    """Return the object's relative pronoun or question word, which opens the clause, or ""."""
    if clause.indirect and moves(clause.indirect):
        return _nominal(clause.indirect, "dat")
    if clause.object and moves(clause.object):
        return _nominal(clause.object, clause.verb.case)
    return " ".join(_phrase(phrase) for phrase in clause.phrases if moves(phrase.nominal))


def _extraposed(clause: Clause) -> str:
    """Return the relative clause of an object, which follows the verbs at the end."""
    if isinstance(clause.object, NounPhrase) and clause.object.relative:
        return f", {verb_final(clause.object.relative)} ,"
    return ""


def _phrase(phrase: Phrase) -> str:
    words = _nominal(phrase.nominal, phrase.preposition.case)
    first, _, rest = words.partition(" ")
    merged = inflection.MERGED.get((phrase.preposition.german, first))
    if merged and isinstance(phrase.nominal, NounPhrase):
        return f"{merged} {rest}"
    return f"{phrase.preposition.german} {words}"


def _nominal(nominal: Nominal, case: Case) -> str:
    match nominal:
        case Name():
            return nominal.text
        case Pronoun():
            return {"nom": nominal.nom, "acc": nominal.acc, "dat": nominal.dat}[case]
        case Asked():
            return _ASKED[case] if nominal.person else "was"
        case Relative():
            return inflection.relative_pronoun(nominal.noun.gender, nominal.plural, case)
    text = _noun_phrase(nominal, case)
    return f"{text} , {verb_final(nominal.relative)} ," if nominal.relative else text


def _noun_phrase(phrase: NounPhrase, case: Case, *, negated: bool = False) -> str:
    """Return a noun phrase without its relative clause; `negated` puts kein for ein."""
    noun, plural = phrase.noun, phrase.plural
    determiner = "kein" if negated else phrase.determiner
    if determiner == "ein" and (plural or not noun.plural):
        determiner = ""
    article, ending = inflection.article(determiner, noun.gender, plural, case)
    adjective = phrase.adjective.stem + ending if phrase.adjective else ""
    words = (article, adjective, inflection.noun_form(noun, plural, case))
    return " ".join(word for word in words if word)
