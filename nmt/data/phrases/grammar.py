"""Renders a clause in German and in English: agreement, verb forms and word order."""

from nmt.data.phrases.lexicon import PREPOSITIONS, TIMES, WORDS, Verb
from nmt.data.phrases.tree import ACC, DAT, NOM, SUBJECT, THING, Clause, Nominal

_MERGED = {"in dem": "im", "an dem": "am", "bei dem": "beim", "in das": "ins"}
# By form of the subject: ich, du, er, plural.
_HABEN = ("habe", "hast", "hat", "haben")
_SEIN = {False: ("bin", "bist", "ist", "sind"), True: ("war", "warst", "war", "waren")}
_BE = {False: ("am", "are", "is", "are"), True: ("was", "were", "was", "were")}
_PRETERITES = {"haben": "hatte", "mögen": "mochte"}  # which German prefers to the Perfekt
_ENGLISH = {"": ""} | WORDS | TIMES["present"] | TIMES["past"] | TIMES["modal"]


def sentence(main: Clause) -> tuple[str, str]:
    """Return a main clause in German and in English, with capitals and punctuation."""
    words = german(main).replace(" , ,", ",").replace(" ,", ",").rstrip(","), english(main)
    first, second = (text[0].upper() + text[1:] + ".?"[main.question != ""] for text in words)
    return first, second


def german(c: Clause, *, final: bool = False) -> str:
    """Return a clause with its finite verb second, first or `final`.

    Commas may be doubled or trailing; `sentence` removes them.
    """
    verb, closing = _german_verbs(c)
    if final and closing == c.verb.prefix:
        verb, closing = closing + verb, ""
    subject, opening = f"{c.subject.forms[NOM]} {_relative(c.subject)}".rstrip(), _opening(c)
    if c.subject.leads or not (opening or final or c.question):
        subject, opening = "", subject
    words = [subject, *_middle(c), closing]
    words = [opening, *words, verb] if final else [opening, verb, *words]
    words.append(_relative(c.object))
    if c.after:
        words.append(f", {c.after[0]} {german(c.after[1], final=True)} ,")
    if c.also:
        words += [", aber" if c.also[0] == "aber" else c.also[0], german(c.also[1])]
    return " ".join(word for word in words if word)


def _german_verbs(c: Clause) -> tuple[str, str]:
    """Return the finite verb, and the prefix, participle or infinitive that closes the clause."""
    verb, form = c.verb, c.subject.form
    if c.modal:
        past = c.modal.participle if c.past else ""
        return finite(c.modal, form, past), verb.prefix + verb.german
    if verb.german == "sein":
        return _SEIN[c.past][form], ""
    if c.past and verb.german not in _PRETERITES:
        return (_SEIN[False] if "sein" in verb.marks else _HABEN)[form], verb.participle
    return finite(verb, form, _PRETERITES[verb.german] if c.past else ""), verb.prefix


def finite(verb: Verb, form: int, past: str = "") -> str:
    """Return the present, or the past, given its third person; `form`: see `Nominal`."""
    if past:
        return past + ("", "st", "", "n")[form]
    if form == 0 and verb.third.endswith("t"):
        return verb.german.removesuffix("n").removesuffix("e") + "e"
    stem = verb.third.removesuffix("t")
    second = stem + ("t" if stem[-1] in "sßz" else "st")
    return (verb.third, second, verb.third, verb.german)[form]


def _middle(c: Clause) -> list[str]:
    """Return the German middle field: objects, time, nicht, place, predicate."""
    case = DAT if "dat" in c.verb.marks else ACC
    words = [c.indirect.forms[DAT] if c.indirect else "", "" if c.front else c.time]
    nicht = "nicht" if c.negated and not (c.object and c.object.determiner == "kein") else ""
    if c.object and not c.object.leads:
        # A known object precedes the time (das Buch heute nicht), a new one follows it.
        known = nicht or not c.object.noun or case == DAT
        words.insert(1 if known else 2, c.object.forms[case])
    words += [nicht, _phrase(c) if c.phrase and not c.phrase[1].leads else ""]
    return [*words, c.predicate.german if c.predicate else ""]


def _opening(c: Clause) -> str:
    """Return the German words that open the clause before the subject, or ""."""
    if c.question in WORDS or c.front:
        return c.question or c.time
    if c.object and c.object.leads:
        return c.object.forms[DAT if "dat" in c.verb.marks else ACC]
    return _phrase(c) if c.phrase and c.phrase[1].leads else ""


def _phrase(c: Clause) -> str:
    if not c.phrase:
        return ""
    preposition, _, accusative = c.phrase[0].partition("|")
    first, _, rest = c.phrase[1].forms[ACC if accusative else DAT].partition(" ")
    words = f"{preposition} {first}"
    return f"{_MERGED.get(words, words)} {rest}" if rest else words


def _relative(thing: Nominal | None) -> str:
    return f", {german(thing.relative, final=True)} ," if thing and thing.relative else ""


def english(c: Clause) -> str:
    """Return the words of a clause."""
    inverted = c.question != "" and not c.subject.leads
    auxiliary, verb = _english_verbs(c, supported=inverted or c.negated)
    negation = "not" if c.negated else ""
    if auxiliary == "can" and negation and not inverted:
        auxiliary, negation = "cannot", ""
    subject, thing = _nominal(c.subject, SUBJECT), _nominal(c.object, THING)
    place = ""
    if c.phrase:
        place = f"{PREPOSITIONS[c.phrase[0]]} {c.phrase[1].forms[THING]}".replace("that", "which")
    opening = _ENGLISH[c.question if c.question in WORDS else c.time * c.front]
    if c.object and c.object.leads:
        opening, thing = thing, ""
    elif c.phrase and c.phrase[1].leads:
        opening, place = place, ""
    words = [opening, *([auxiliary, subject] if inverted else [subject, auxiliary]), negation, verb]
    apart = "apart" in c.verb.marks and c.object and not c.object.noun
    words += ["" if apart else c.verb.particle, _nominal(c.indirect, THING), thing]
    words += [c.verb.particle if apart else "", c.predicate.english if c.predicate else "", place]
    words.append("" if c.front else _ENGLISH[c.time])
    words.append(f"{WORDS[c.after[0]]} {english(c.after[1])}" if c.after else "")
    text = " ".join(word for word in words if word)
    return f"{text}, {WORDS[c.also[0]]} {english(c.also[1])}" if c.also else text


def _english_verbs(c: Clause, *, supported: bool) -> tuple[str, str]:
    """Return the auxiliary or "", and the other verbs; `supported`: an auxiliary is needed."""
    verb, modal, third = c.verb, c.modal, c.subject.form == 2
    be = _BE[c.past][c.subject.form]
    if verb.german == "sein":
        return be, ""
    if not (modal or c.past or "state" in verb.marks):
        return be, verb.english_ing
    main, rest = modal or verb, f"{modal.particle} {verb.english}".strip() if modal else ""
    if "be" in main.marks:
        return be, rest
    if "aux" in main.marks:
        return main.english_past if c.past else main.english, rest
    if supported:
        return "did" if c.past else "does" if third else "do", f"{main.english} {rest}".rstrip()
    plain = "has" if main.english == "have" and third else main.english + "s" * third
    return "", f"{main.english_past if c.past else plain} {rest}".rstrip()


def _nominal(thing: Nominal | None, role: int) -> str:
    """Return an English nominal with its relative clause."""
    relative = f" {english(thing.relative)}" if thing and thing.relative else ""
    return thing.forms[role] + relative if thing else ""
