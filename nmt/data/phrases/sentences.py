"""Random sensible sentences: who does what to what, when, where and why."""

import random
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from nmt.data.phrases import lexicon, tree
from nmt.data.phrases.lexicon import ADJECTIVES, MODALS, VERBS, Adjective, Kinds, Noun, Verb
from nmt.data.phrases.tree import DU, ER, ICH, SIE, WIR, Clause, Nominal, noun_phrase

T = TypeVar("T")
TELLERS, ASKERS, OTHERS = (ICH, ER, SIE, WIR), (DU, ER, SIE), (ICH, DU, WIR)
KNOWN = ["der"] * 7 + ["dies", "mein", "unser"]
ANY = [*KNOWN, "dein"] + ["ein"] * 6
PERSON, ALIVE = ("person",), ("person", "animal")
THINGS = ("small", "read", "clothing", "food", "drink", "room", "town", "vehicle", "furniture")


class NonsenseError(Exception):
    """The random choices so far make no sensible sentence; choose again."""


class Chance(random.Random):
    """Random choices by `random` alone, whose sequence Python promises to keep."""

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices, all equally likely."""
        require(choices)
        return choices[int(self.random() * len(choices))]

    def word(self, words: str) -> str:
        """Return one of the words; a repeated word is more likely."""
        return self.pick(words.split())


def require(sensible: object) -> None:
    """Raise NonsenseError unless the sentence is sensible."""
    if not sensible:
        raise NonsenseError


def _fit(kinds: Kinds, wanted: Kinds) -> bool:
    return not set(kinds).isdisjoint(wanted)


@cache
def _nouns(*kinds: str) -> list[Noun]:
    return [noun for noun in lexicon.NOUNS.values() if _fit(kinds, noun.kinds)]


@cache
def _adjectives(kinds: Kinds) -> list[Adjective]:
    return [word for word in ADJECTIVES.values() if _fit(kinds, word.kinds)]


@cache
def _verbs(mood: str, subject: Kinds, thing: Kinds = ()) -> list[Verb]:
    """Return the verbs of a mood that accept a subject, and an object, of these kinds."""
    out = ({"present": "past", "past": "now", "modal": "bare"}[mood], "clause")
    verbs = [verb for verb in VERBS.values() if not _fit(verb.marks, out)]
    return [v for v in verbs if _fit(subject, v.subject) and (not thing or _fit(thing, v.object))]


def _same(one: Nominal | None, *others: Nominal | None) -> bool:
    """Return whether a nominal may refer to one of the others (ich, mich; ich, uns)."""
    keys = [thing and (thing.noun or (0, 1, 2, 0)[thing.form]) for thing in (one, *others)]
    return one is not None and keys[0] in keys[1:]


def _vague(thing: Nominal | None) -> bool:
    """Return whether a nominal is indefinite (ein Mann, zwei Kinder)."""
    return thing is not None and thing.determiner in ("ein", *lexicon.NUMBERS)


def _noun(chance: Chance, noun: Noun, words: Sequence[str] = KNOWN) -> Nominal:
    """Return a noun with one of the determiners, if it fits, and often an adjective."""
    word = chance.pick(words)
    plural = noun.plural != "" and (word == "wie viele" or chance.random() < 0.25)
    require(plural or word != "wie viele")
    if "kin" in noun.kinds and word in ("der", "ein", "dies"):
        word = chance.word("mein unser")
    elif word in ("mein", "dein", "unser") and "owned" not in noun.kinds:
        word = "der"
    elif word == "ein" and plural and ("person" in noun.kinds or chance.random() < 0.5):
        word = chance.pick([*lexicon.NUMBERS])
    choices = [word for word in _adjectives(noun.kinds) if "beast" not in word.kinds]
    adjective = chance.pick(choices) if choices and chance.random() < 0.28 else None
    return noun_phrase(noun, word, adjective, plural)


def _person(chance: Chance, pronouns: Sequence[Nominal], words: Sequence[str] = KNOWN) -> Nominal:
    if chance.random() < 0.3:
        return chance.pick(pronouns)
    if chance.random() < 0.3:
        return noun_phrase(chance.pick(lexicon.NAMES))
    return _noun(chance, chance.pick(_nouns("person")), words)


def _other(chance: Chance, subject: Nominal) -> Nominal:
    """Return a person to whom the subject does something."""
    # No sie, which is "her" and "them"; no name behind a noun (die Tante Anna).
    thing = _person(chance, (ER, *OTHERS))
    require(not _same(thing, subject) and (thing.determiner or not (thing.noun and subject.noun)))
    return thing


def clause(chance: Chance, mood: str = "", *, plain: bool = False, **given: Any) -> Clause:
    """Return what someone does, as random as possible, in "present", "past" or "modal" mood.

    Given may be `verb`, `subject`, `object` and `negated`, and `pronouns` for a random subject. A
    plain clause has no more than its verb needs.
    """
    mood = mood or chance.word("present present present past past past modal modal")
    subject: Nominal | None = given.get("subject")
    kinds: Kinds = PERSON if chance.random() < 0.9 else ("animal", "Buch")
    kinds = subject.kinds if subject else kinds
    verb: Verb = given.get("verb") or chance.pick(_verbs(mood, kinds))
    if not subject and "person" in verb.subject and kinds == PERSON:
        subject = _person(chance, given.get("pronouns", TELLERS), [*KNOWN, "ein"])
    subject = subject or _noun(chance, chance.pick(_nouns(*verb.subject)))
    require(verb in _verbs(mood, subject.kinds))
    thing: Nominal | None = given.get("object")
    if not thing and verb.object:
        kind, words = chance.pick(verb.object), KNOWN if "the" in verb.marks else ANY
        noun = chance.pick(_nouns(kind))
        thing = _other(chance, subject) if kind == "person" else _noun(chance, noun, words)
    negated = given.get("negated", chance.random() < 0.18)
    require(not (negated and _vague(subject)) and not _same(subject, thing))
    if thing and thing.noun and negated and _vague(thing):
        thing = noun_phrase(thing.noun, "kein", thing.adjective, thing.form == 3)
    indirect = _other(chance, subject) if "to" in verb.marks else None
    c = Clause(subject, verb, thing, mood == "past", None, negated, indirect)
    if mood == "modal":
        modal = MODALS["können" if "can" in verb.marks else chance.pick([*MODALS])]
        c = c._replace(modal=modal, past=modal.participle != "-" and chance.random() < 0.3)
    return _with_time(chance, _with_place(chance, c, plain), 0 if plain else 0.4)


def _with_time(chance: Chance, c: Clause, likely: float) -> Clause:
    if "state" in c.verb.marks or chance.random() >= likely:
        return c
    times = lexicon.TIMES["past" if c.past else "modal" if c.modal else "present"]
    return c._replace(time=chance.pick([*times]), front=chance.random() < 0.5)


def _with_place(chance: Chance, c: Clause, plain: bool) -> Clause:
    tags = [mark.lstrip("@!") for mark in c.verb.marks if mark.startswith("@")]
    likely = 0 if plain or (c.negated and c.object) else 0.2 if c.object else 0.5
    if not tags or not ("@!" in "".join(c.verb.marks) or chance.random() < likely):
        return c
    preposition, noun = chance.pick(lexicon.PLACES[chance.pick(tags)])
    place = _noun(chance, noun, ["der"] * 8 + ["mein", "unser"])
    return c._replace(phrase=(preposition, noun_phrase(noun, place.determiner, place.adjective)))


def quality(chance: Chance, subject: Nominal, word: str = "") -> Clause:
    """Return a clause with a predicate adjective: the given word, or a random one."""
    adjective = ADJECTIVES[word] if word else chance.pick(_adjectives(subject.kinds))
    both = {adjective, subject.adjective}
    require(len(both) == 2 and _fit(subject.kinds, adjective.kinds))
    rows = lexicon.OPPOSITES.split(",")
    require(not any(both <= {ADJECTIVES[word] for word in row.split()} for row in rows))
    return Clause(subject, VERBS["sein"], None, chance.random() < 0.35, predicate=adjective)


def statement(chance: Chance, pronouns: Sequence[Nominal] = TELLERS) -> Clause:
    """Return what someone does, or how someone or something is."""
    if chance.random() < 0.8:
        return clause(chance, pronouns=pronouns)
    somebody = chance.random() < 0.4
    thing = _noun(chance, chance.pick(_nouns(*THINGS)))
    return quality(chance, _person(chance, pronouns) if somebody else thing)


def question(chance: Chance) -> Clause:
    """Return a yes-no question, or one that asks with an adverb or for a nominal."""
    word = chance.word("ja ja ja ja warum wann wo subject object object object")
    mood = chance.word("past modal" if word == "wann" else "present past modal")
    verb = chance.pick([v for v in _verbs(mood, PERSON) if v.object or word != "object"])
    kind = chance.pick(verb.object) if word == "object" else "person"
    noun = chance.pick(_nouns(kind))
    which = _noun(chance, noun, ["welch", "wie viele"])
    asked = chance.pick((which, tree.WHO if kind == "person" else tree.WHAT))
    require(not asked.noun or "kin" not in noun.kinds)
    given: dict[str, Any] = {word: asked} if word in ("subject", "object") else {}
    given |= {"negated": False} if word != "warum" else {}
    c = clause(chance, mood, verb=verb, pronouns=ASKERS, **given)
    require(not _vague(c.subject) and _shows_roles(c))
    require(asked in c or "state" not in verb.marks or c.negated or c.phrase)
    if word == "wo":
        require(_fit(("@in", "@out", "@!live", "@!seat"), verb.marks))
        c = c._replace(phrase=None)
    time = "" if word == "wann" else c.time
    return c._replace(question="wer" if asked in c else word, time=time, front=False)


def _shows_roles(c: Clause) -> bool:
    """Return whether German tells subject from object where the object may come first."""
    if not c.object or not (c.object.leads or c.subject.leads) or "dat" in c.verb.marks:
        return True
    apart = _fit(c.subject.kinds, ALIVE) and not _fit(c.object.kinds, ALIVE)
    return apart or any(each.forms[0] != each.forms[1] for each in (c.subject, c.object))


def relative(chance: Chance) -> Clause:
    """Return a sentence with a relative clause on its subject, or on its object at the end."""
    if chance.random() < 0.4:
        c = _with_time(chance, clause(chance, plain=True, negated=False), 0.3)
        # After the relative clause, a time or a place would attach to it.
        require((c.front or not c.time) and not c.phrase and not _vague(c.subject) and c.object)
        return c._replace(object=_related(chance, c, c.object or c.subject))
    kinds = chance.pick((ALIVE, THINGS))
    head = _noun(chance, chance.pick(_nouns(*kinds)), ["der"])
    acts = "person" in head.kinds and chance.random() < 0.6
    c = clause(chance, subject=head, negated=False) if acts else quality(chance, head)
    return c._replace(subject=_related(chance, c, head), front=False)


def _related(chance: Chance, main: Clause, head: Nominal) -> Nominal:
    """Return a nominal of a main clause with a relative clause that fits both."""
    require(head.determiner == "der")
    own, mood = tree.relative_pronoun(head), chance.word("present past past past modal")
    if "town" in head.kinds and chance.random() < 0.7:
        c = clause(chance, mood, verb=VERBS["wohnen"], negated=False)._replace(phrase=("in", own))
    elif chance.random() < 0.5 and _verbs(mood, head.kinds):
        c = clause(chance, mood, subject=own, plain=True)
    else:
        verb = chance.pick(_verbs(mood, PERSON, head.kinds))
        c = clause(chance, mood, verb=verb, object=own, plain=True)
    c = _with_time(chance, c, 0.3)._replace(front=False)
    require(_shows_roles(c) and c.verb != main.verb and (c.past or not main.past))
    require(not (main.time and c.time) and not (main.negated and c.negated))
    require(any(each.past or each.modal or "state" in each.verb.marks for each in (main, c)))
    others = [thing for thing in (c.subject, c.object, c.indirect) if thing != own]
    require(not any(_same(thing, main.subject, main.object, own) for thing in others))
    return head._replace(relative=c)


def reason(chance: Chance) -> Clause:
    """Return what someone does because (weil), or although (obwohl), something is so."""
    hard, duties = ([v for v in VERBS.values() if mark in v.marks] for mark in ("hard", "duty"))
    if chance.random() < 0.4:
        c = clause(chance, "modal", verb=chance.pick(hard), negated=True)
        given = {"verb": chance.pick(duties), "subject": tree.pronoun_for(c.subject)}
        why = clause(chance, "modal", **given, negated=False, plain=True)
        require(c.modal == MODALS["können"] and why.verb != c.verb)
        require(not _same(why.object, c.subject, c.object))
        return c._replace(after=("weil", why._replace(modal=MODALS["müssen"], past=c.past)))
    negated, against = chance.random() < 0.4, chance.random() < 0.3
    verb = chance.pick([*hard, *(VERBS[name] for name in lexicon.REASONS)])
    sides = lexicon.REASONS.get(verb.prefix + verb.german, ["", ""])
    tired = " müde krank faul" if verb in hard and negated != against else ""
    word = chance.word(sides[negated != against] + tired)
    c = clause(chance, chance.word("present past"), verb=verb, negated=negated)
    about, he = c.object or c.subject, tree.pronoun_for(c.subject)
    it = tree.pronoun_for(about)
    require(he.forms[0] != it.forms[0] or he.forms == it.forms)
    if word in ADJECTIVES:
        about = about if _fit(about.kinds, ADJECTIVES[word].kinds) else c.subject
        require(about is c.object or word in "müde krank faul hungrig durstig glücklich traurig")
        described = quality(chance, about, word)
        why = described._replace(subject=it if about is c.object else he, past=c.past)
    else:
        require(_fit(about.kinds, VERBS[word.strip("!")].object))
        why = Clause(he, VERBS[word.strip("!")], it, c.past, negated=word[0] == "!")
    require(not _vague(about) and about.determiner != "kein" and (about.noun or about is c.subject))
    return c._replace(after=("obwohl" if against else "weil", why))


def reported(chance: Chance, content: Clause | None = None) -> Clause:
    """Return what someone says, believes or hopes (dass), asks or does not know (ob)."""
    name = chance.word(
        "sagen glauben denken wissen" + " hoffen wissen fragen fragen" * (not content)
    )
    ask = name == "fragen" or (name == "wissen" and not content and chance.random() < 0.5)
    content = (content or statement(chance, OTHERS))._replace(front=False)
    speaker = _person(chance, (ER, SIE) if name in ("sagen", "fragen") else TELLERS)
    require(not _same(speaker, content.subject, content.object, content.indirect))
    require(not _vague(content.subject) and not (content.negated and (ask or name == "hoffen")))
    require(name != "hoffen" or not (content.predicate or content.modal))
    after, negated = ("ob" if ask else "dass", content), ask and name == "wissen"
    return Clause(speaker, VERBS[name], negated=negated, after=after)


def long(chance: Chance) -> Clause:
    """Return two of these constructions in one sentence."""
    sort = chance.word("joined joined joined reported relative")
    c = (relative if sort == "joined" and chance.random() < 0.5 else reason)(chance)
    if sort == "reported":
        return reported(chance, c)
    if sort == "relative":
        return c._replace(subject=_related(chance, c, c.subject), front=False)
    second = clause(chance, pronouns=OTHERS)._replace(time="", front=False)
    require(c.past == second.past and c.verb != second.verb and not _vague(second.subject))
    require(not _same(second.subject, c.subject))
    return c._replace(also=(chance.word("und aber"), second))
