"""What a sentence says, in no language: `german` and `english` put it in words."""

from dataclasses import dataclass
from typing import Literal

from nmt.data.phrases.words import (
    Adjective,
    Adverb,
    Modal,
    Name,
    Noun,
    Preposition,
    Pronoun,
    Verb,
)

Tense = Literal["present", "past"]


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """A noun with its company.

    Attributes:
        determiner: "der", "ein" (nothing in a plural or before a mass noun), "mein", "dein",
            "unser", "wie viele" or a number.
        relative: a clause in which a `Relative` stands for this noun.
    """

    noun: Noun
    determiner: str = "der"
    adjective: Adjective | None = None
    plural: bool = False
    relative: "Clause | None" = None


@dataclass(frozen=True, slots=True)
class Relative:
    """A relative pronoun that stands for a noun."""

    noun: Noun
    plural: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """The one or the thing that a question asks for (wer, was)."""

    person: bool


Nominal = NounPhrase | Relative | Asked | Name | Pronoun


@dataclass(frozen=True, slots=True)
class Phrase:
    """A preposition and what it stands before."""

    preposition: Preposition
    nominal: Nominal


@dataclass(frozen=True, slots=True)
class Clause:
    """One verb and what belongs to it.

    Attributes:
        negated: "nicht", or "kein" with an indefinite object.
        habit: what happens again and again: English then has no progressive.
        indirect: the dative of a verb with two objects.
        predicate: what the copula says of the subject; `degree` stands before it (sehr).
        front: whether the adverb of time opens the sentence.
        question: "" (none), "ja" (yes or no), or the adverb that asks (warum, wann, wo); a question
            for a nominal needs none of these, only its `Asked`.
    """

    subject: Nominal
    verb: Verb
    tense: Tense = "present"
    modal: Modal | None = None
    negated: bool = False
    habit: bool = False
    indirect: Nominal | None = None
    object: Nominal | None = None
    predicate: Adjective | None = None
    degree: str = ""
    phrases: tuple[Phrase, ...] = ()
    time: Adverb | None = None
    frequency: Adverb | None = None
    manner: Adverb | None = None
    front: bool = False
    question: str = ""


@dataclass(frozen=True, slots=True)
class Subordinate:
    """A clause behind a conjunction (weil, dass ...), which may carry another one."""

    conjunction: str
    clause: Clause
    after: "Subordinate | None" = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A main clause, with a clause before it or after it, and with a sentence joined to it.

    `joint` is "und" or "aber" where there is a sentence `also`.
    """

    main: Clause
    before: Subordinate | None = None
    after: Subordinate | None = None
    joint: str = ""
    also: "Sentence | None" = None


def agreement(subject: Nominal) -> tuple[int, bool]:
    """Return the person of a subject and whether it is plural."""
    if isinstance(subject, Pronoun):
        return subject.person, subject.plural
    return 3, isinstance(subject, NounPhrase | Relative) and subject.plural


def is_indefinite(nominal: Nominal | None) -> bool:
    """Tell whether a negated clause says kein before this noun."""
    return isinstance(nominal, NounPhrase) and nominal.determiner == "ein"


def is_asked(nominal: Nominal | None) -> bool:
    """Tell whether a nominal makes its clause a question (wer, wie viele Kinder)."""
    counted = isinstance(nominal, NounPhrase) and nominal.determiner == "wie viele"
    return counted or isinstance(nominal, Asked)


def moves(nominal: Nominal | None) -> bool:
    """Tell whether a nominal leaves its place for the first one of its clause."""
    return isinstance(nominal, Relative) or is_asked(nominal)


def is_question(clause: Clause) -> bool:
    """Tell whether a main clause asks something."""
    nominals = (clause.subject, clause.indirect, clause.object)
    return bool(clause.question) or any(is_asked(nominal) for nominal in nominals)
