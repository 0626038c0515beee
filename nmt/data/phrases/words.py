"""What the `phrases` corpus knows of one word: a dataclass for each part of speech."""

from dataclasses import dataclass
from typing import Literal

Gender = Literal["m", "f", "n"]
Case = Literal["nom", "acc", "dat"]
Support = Literal["aux", "do", "be"]


@dataclass(frozen=True, slots=True)
class Noun:
    """One noun; a mass noun has empty plurals.

    Attributes:
        german, plural, english, english_plural: the forms of the nominative.
        oblique: the singular outside the nominative; weak nouns have another (den Jungen).
        kinds: what it is ("food", "read"): verbs and adjectives name the kinds they go with.
    """

    german: str
    oblique: str
    plural: str
    gender: Gender
    english: str
    english_plural: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adjective:
    """One adjective; `stem` takes the endings (teuer, teur-e); `kinds` are the nouns it fits."""

    german: str
    stem: str
    english: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb with its forms and with what it may be said of.

    Attributes:
        german: infinitive without the separable prefix.
        prefix: separable prefix, or "".
        third: third person singular of the present, without the prefix.
        participle: past participle, prefix included.
        auxiliary: "haben" or "sein", for the Perfekt.
        preterite: third person singular of the past, where German prefers it to the Perfekt, or "".
        english: base form; `english_third`, `english_past` and `english_ing` are the others.
        particle: English word after the verb ("up" of "pick up"), or "".
        movable: whether a pronoun precedes the particle ("pick him up", but "look for him").
        stative: whether English keeps the simple present ("knows", never "is knowing").
        subject, object: kinds of noun that fit; no `object` for a verb without one.
        indirect: whether it takes a person in the dative besides the object.
        case: the case of the object.
        places: tags of the places where it happens; `needs_place` if one must be said.
        moods: clauses it fits: "present", "past", "modal" and "habit" (what happens often).
        modals: infinitives of the modal verbs that go with it.
        clausal: whether it takes a clause with dass or ob.
    """

    german: str
    prefix: str
    third: str
    participle: str
    auxiliary: str
    preterite: str
    english: str
    english_third: str
    english_past: str
    english_ing: str
    particle: str
    movable: bool
    stative: bool
    subject: tuple[str, ...]
    object: tuple[str, ...]
    indirect: bool
    case: Case
    places: tuple[str, ...]
    needs_place: bool
    moods: tuple[str, ...]
    modals: tuple[str, ...]
    clausal: bool

    @property
    def infinitive(self) -> str:
        """The German dictionary form, prefix included."""
        return self.prefix + self.german


@dataclass(frozen=True, slots=True)
class Modal:
    """One modal verb.

    Attributes:
        german, third, preterite: infinitive and third persons; no `preterite`: present only.
        support: how English negates and asks: "aux" (cannot), "do" (does not want to) or "be" (is
            not allowed to).
        english, english_third, english_past: the first English word in its forms.
        rest: what stands between that word and the infinitive ("to", "allowed to").
    """

    german: str
    third: str
    preterite: str
    support: Support
    english: str
    english_third: str
    english_past: str
    rest: str


@dataclass(frozen=True, slots=True)
class Adverb:
    """One adverbial; `moods` are the clauses it fits: "present", "past", "modal" and "habit"."""

    german: str
    english: str
    moods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preposition:
    """One preposition with the case it takes here."""

    german: str
    english: str
    case: Case = "dat"


@dataclass(frozen=True, slots=True)
class Spot:
    """A preposition and a noun that make a place; `tags` say what happens there."""

    preposition: Preposition
    noun: Noun
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A person's name, the same in both languages."""

    text: str
    gender: Gender


@dataclass(frozen=True, slots=True)
class Pronoun:
    """A personal pronoun in its German cases and as English subject and object."""

    nom: str
    acc: str
    dat: str
    english: str
    english_object: str
    person: int
    plural: bool = False
