"""The lexicon of the corpus in both languages, with selectional restrictions.

Each German lemma has one English lemma and the reverse. Each verb and adjective lists the nouns, or
kinds of nouns, that it selects. In tables, the text before a colon applies to the whole row.
"""

from collections.abc import Iterator
from typing import NamedTuple

Kinds = tuple[str, ...]


class Noun(NamedTuple):
    """A noun or a name; `oblique` is its singular outside the nominative, `kinds` has its name."""

    german: str
    oblique: str
    plural: str
    gender: str
    english: str
    english_plural: str
    kinds: Kinds


class Adjective(NamedTuple):
    """An adjective, its German stem before endings, and the kinds of noun it fits."""

    german: str
    stem: str
    english: str
    kinds: Kinds


class Verb(NamedTuple):
    """A verb: its forms, the kinds of its subject and object, and marks (see `_VERBS`).

    A modal has its preterite or "-" for a participle, and "allowed to" or "to" for a particle.
    """

    prefix: str
    german: str
    third: str
    participle: str
    english: str
    english_past: str
    english_ing: str
    particle: str
    subject: Kinds
    object: Kinds
    marks: Kinds


# Kinds: German, plural ("-": none), gender, English. Junge/Jungen: weak. man/men: irregular.
_NOUNS = """
person adult: Mann Männer m man/men, Frau Frauen f woman/women, Lehrer Lehrer m teacher,
    Ärztin Ärztinnen f doctor, Bäcker Bäcker m baker, Student/Studenten Studenten m student,
    Polizist/Polizisten Polizisten m policeman/policemen, Gast Gäste m guest
person: Kind Kinder n child/children, Junge/Jungen Jungen m boy, Mädchen Mädchen n girl
person kin owned: Vater - m father, Mutter - f mother, Großmutter - f grandmother,
    Bruder Brüder m brother, Schwester Schwestern f sister, Sohn Söhne m son,
    Tochter Töchter f daughter, Onkel Onkel m uncle, Tante Tanten f aunt,
    Nachbar/Nachbarn Nachbarn m neighbour
animal beast pet owned: Hund Hunde m dog, Katze Katzen f cat, Pferd Pferde n horse, Kuh Kühe f cow
animal: Vogel Vögel m bird
food: Apfel Äpfel m apple, Kuchen Kuchen m cake, Ei Eier n egg, Tomate Tomaten f tomato/tomatoes,
    Kartoffel Kartoffeln f potato/potatoes, Brot - n bread, Käse - m cheese, Suppe - f soup
drink: Milch - f milk, Wasser - n water, Tee - m tea, Kaffee - m coffee
read owned: Buch Bücher n book, Zeitung Zeitungen f newspaper, Brief Briefe m letter,
    Geschichte Geschichten f story/stories
vehicle thing owned: Auto Autos n car, Fahrrad Fahrräder n bicycle
furniture thing owned: Tisch Tische m table, Stuhl Stühle m chair, Lampe Lampen f lamp,
    Bett Betten n bed
clothing thing owned: Mantel Mäntel m coat, Hut Hüte m hat, Hemd Hemden n shirt,
    Jacke Jacken f jacket
small thing owned: Tasche Taschen f bag, Ball Bälle m ball, Koffer Koffer m suitcase,
    Uhr Uhren f watch/watches, Blume Blumen f flower, Flasche Flaschen f bottle
small owned: Schlüssel Schlüssel m key, Bild Bilder n picture, Geschenk Geschenke n present
opening: Fenster Fenster n window, Tür Türen f door
area: Garten Gärten m garden, Park Parks m park, Wald Wälder m forest, See Seen m lake
room: Küche Küchen f kitchen, Zimmer Zimmer n room, Büro Büros n office
town: Stadt Städte f city/cities, Dorf Dörfer n village
place: Schule Schulen f school, Haus Häuser n house, Kirche Kirchen f church/churches,
    Bahnhof Bahnhöfe m station, Straße Straßen f street, Brücke Brücken f bridge, Baum Bäume m tree
"""

# Kinds: German, English. müde/müd: its stem before endings.
_ADJECTIVES = """
adult animal read vehicle furniture clothing small place town: alt old
Kind Junge Mädchen animal thing room area place town: klein small
animal vehicle furniture room area place town: groß big
person: nett nice, klug clever, glücklich happy, traurig sad
person pet: jung young, freundlich friendly, faul lazy
person beast: müde/müd tired, krank sick, hungrig hungry, durstig thirsty
read vehicle furniture clothing small Haus: neu new
Vogel clothing small area town place: schön beautiful
thing Geschenk Bild: teuer/teur expensive, billig cheap
thing Tür: rot red, blau blue, grün green, weiß white, schwarz black
Suppe drink room: warm warm, kalt cold
Apfel Tomate Ei Brot Milch Kuchen: frisch fresh
Apfel Kuchen Tee: süß sweet
vehicle opening Lampe Uhr Stuhl: kaputt broken
Buch Brief Geschichte Straße: lang long
read: interessant interesting, langweilig boring
clothing vehicle opening room pet: schmutzig dirty
"""

# Kinds of subject, of object ("-": none), marks: infinitive with | after a separable prefix, /third
# person/participle (+: with sein) where irregular; English /past/-ing form, +particle. Marks:
#   @tag, @!tag  a place where it may happen, where it must be said (see `_PLACES`)
#   dat, to      the object is in the dative; a person in the dative stands beside the object
#   apart        a pronoun precedes the English particle;  state: English has no progressive
#   the          its object is definite;  clause: takes dass or ob
#   now, past    said in the present or past alone;  can, bare: with no modal but können, with none
#   duty, hard   what people have to do; what tired people leave
_VERBS = """
person - @in @out hard: arbeiten work, tanzen dance
person/pet - @out hard: spielen play
person/Vogel - @out hard: singen//gesungen sing/sang
person/beast - @out: schlafen/schläft/geschlafen sleep/slept
person - bare: lachen laugh, weinen cry/cried, an|kommen//+gekommen arrive
person - @out: warten wait
person -: auf|stehen//+gestanden get/got/getting+up, zurück|kommen//+gekommen come/came+back
person - hard: schwimmen//+geschwommen swim/swam/swimming
person/beast - bare: ein|schlafen/schläft/+geschlafen fall/fell+asleep
person/Katze - @!seat bare: sitzen//gesessen sit/sat/sitting
person - @!live state: wohnen live
Buch/Brief/Zeitung/Schlüssel/Uhr - @!top now bare: liegen//gelegen lie/lay/lying
person/beast - @!through hard: laufen/läuft/+gelaufen run/ran/running
person - @!into: gehen//+gegangen go/went
person food @in: essen/isst/gegessen eat/ate
person drink @in: trinken//getrunken drink/drank
person Suppe/Kartoffel/Ei duty hard: kochen cook
person Kuchen/Brot duty hard: backen//gebacken bake
person food/thing/Buch/Zeitung: kaufen buy/bought
person read @in @out hard: lesen/liest/gelesen read/read
person Brief/Buch/Geschichte hard duty: schreiben//geschrieben write/wrote
person vehicle/Lampe/Uhr/opening duty hard the: reparieren//repariert repair
person vehicle/clothing/Hund duty hard the: waschen/wäscht/gewaschen wash
person small/clothing/person/pet duty: suchen look+for
person small/clothing bare past: finden//gefunden find/found, verlieren//verloren lose/lost
person person/animal can state: sehen/sieht/gesehen see/saw/seeing, hören hear/heard
person kin/pet bare state the: lieben love
person food/drink/read/person bare state the: mögen/mag/gemocht like
person small/clothing/vehicle/furniture bare state: brauchen need
person pet/thing bare state: haben/hat/gehabt have/had
person person/town duty hard: besuchen//besucht visit
person person duty hard: an|rufen//gerufen call, treffen/trifft/getroffen meet/met
person person: ein|laden/lädt/geladen invite
person person/Brief/Geschenk/Koffer apart duty hard the: ab|holen pick+up
person food/Brief/Bild/Blume/Geschenk: mit|bringen//gebracht bring/brought
person opening/Koffer/Tasche/Flasche the: auf|machen open, zu|machen close
person Brief/Zeitung/clothing apart: weg|werfen/wirft/geworfen throw/threw+away
person room apart duty hard the: auf|räumen tidy/tidied+up
person Buch/Brief/Zeitung/Schlüssel/Uhr @!onto the: legen put/put/putting
person person dat duty hard the: helfen/hilft/geholfen help, danken thank
person/pet person/pet dat bare the: folgen//+gefolgt follow
person small/Buch to: geben/gibt/gegeben give/gave, zeigen show, schicken send/sent
person - clause state: sagen say/said, glauben believe, denken//gedacht think/thought, hoffen hope,
    wissen/weiß/gewusst know/knew, fragen ask
- - state: sein/ist/+gewesen be/was/being
"""

# Modal verbs with their preterite; how English negates and asks: aux (itself), do or be.
_MODALS = """
- - aux: können/kann/konnte can/could, sollen/soll/- should, möchten/möchte/- would+like+to
- - do: müssen/muss/musste have/had+to, wollen/will/wollte want+to
- - be: dürfen/darf/durfte be/was+allowed+to
"""

# The tag of verbs: places. "in|acc" is in with the accusative; the others govern the dative.
_PLACES = """
in: in Küche, in Zimmer, in Haus, in Schule, in Büro
out: in Garten, in Park, in Wald, an See, auf Straße, unter Baum, vor Haus, hinter Haus, bei Bahnhof
seat: an Fenster, an Tisch, auf Stuhl, unter Baum, neben Tür, auf Bett
live: in Stadt, in Dorf, an See, neben Kirche, bei Bahnhof, bei Brücke
top: auf Tisch, auf Stuhl, auf Bett, unter Bett, in Tasche, neben Lampe
through: durch|acc Park, durch|acc Wald, durch|acc Stadt, durch|acc Dorf, durch|acc Garten
into: in|acc Garten, in|acc Park, in|acc Wald, in|acc Küche, in|acc Büro, in|acc Haus
onto: auf|acc Tisch, auf|acc Stuhl, auf|acc Bett, in|acc Tasche, neben|acc Lampe
"""

# Verbs: what the object or else the subject is, or what one else does with the object (! not), if
# one does it / if one does not. What is hard one does not do if müde, krank or faul, besides.
_REASONS = """
kaufen: schön billig frisch süß brauchen mögen / teuer alt kaputt
wegwerfen: alt !brauchen !mögen / neu schön brauchen
lesen: interessant mögen / lang langweilig !mögen
essen: hungrig frisch süß mögen / kalt !mögen
trinken: durstig frisch warm mögen / kalt !mögen
waschen aufräumen: schmutzig / neu
reparieren: kaputt brauchen / alt !brauchen
suchen: brauchen lieben / !brauchen !mögen
besuchen einladen anrufen: nett freundlich schön mögen lieben / faul !mögen
helfen: krank müde nett mögen / faul !mögen
schlafen weinen: müde krank /
lachen singen tanzen: glücklich / traurig
"""


def _groups(table: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the label before the colon, and the cells, of each item."""
    for group in table.replace("\n    ", " ").strip().splitlines():
        head, _, items = group.partition(":")
        for item in items.split(","):
            yield head.split(), item.split()


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("/") for pair in text.split(", "))


def _nouns() -> Iterator[Noun]:
    for kinds, (head, plural, gender, both) in _groups(_NOUNS):
        german, oblique, *_ = f"{head}/{head}".split("/")
        english, many, *_ = f"{both}/{both}s".split("/")
        yield Noun(german, oblique, plural.strip("-"), gender, english, many, (german, *kinds))


def _verbs(table: str) -> Iterator[Verb]:
    for (subject, thing, *marks), (forms, words) in _groups(table):
        infinitive, third, participle, *_ = f"{forms}//".split("/")
        prefix, _, german = infinitive.rpartition("|")
        stem = german.removesuffix("n").removesuffix("e")
        third = third or stem + ("et" if stem[-1] in "td" else "t")
        participle = prefix + (participle.strip("+") or "ge" + third)
        english, *particle = words.split("+")
        base, past, ing, *_ = f"{english}//".split("/")
        past = past or base + ("d" if base[-1] == "e" else "ed")
        ing = ing or (base[:-1] if base[-1] == "e" else base) + "ing"
        marks += ["sein"] if "/+" in forms else []
        does, done = (tuple(kinds.strip("-").split("/")) for kinds in (subject, thing))
        yield Verb(
            *(prefix, german, third, participle, base, past, ing),
            *(" ".join(particle), does, () if thing == "-" else done, tuple(marks)),
        )


NOUNS = {noun.german: noun for noun in _nouns()}
NAMES = [Noun(name, name, "", "f", name, "", ("person",)) for name in ("Anna", "Lisa", "Maria")]
NAMES += [Noun(name, name, "", "m", name, "", ("person",)) for name in ("Paul", "Peter", "Thomas")]
ADJECTIVES = {
    (words := head.split("/"))[0]: Adjective(words[0], words[-1], english, tuple(kinds))
    for kinds, (head, english) in _groups(_ADJECTIVES)
}
VERBS = {verb.prefix + verb.german: verb for verb in _verbs(_VERBS)}
MODALS = {verb.german: verb for verb in _verbs(_MODALS)}
REASONS = {verb: " ".join(words).split("/") for verbs, words in _groups(_REASONS) for verb in verbs}
PLACES: dict[str, list[tuple[str, Noun]]] = {}
for _head, (_preposition, _noun) in _groups(_PLACES):
    PLACES.setdefault(_head[0], []).append((_preposition, NOUNS[_noun]))
PREPOSITIONS = _pairs(
    "in/in, an/at, auf/on, bei/near, unter/under, neben/next to, vor/in front of, hinter/behind, "
    "durch|acc/through, in|acc/into, auf|acc/on, neben|acc/next to"
)
# Adverbs of time by the mood of their clause.
TIMES = {
    "present": _pairs("heute/today, jetzt/now"),
    "past": _pairs("heute/today, gestern/yesterday, letzte Woche/last week, am Montag/on Monday"),
    "modal": _pairs("heute/today, morgen/tomorrow, am Sonntag/on Sunday, am Abend/in the evening"),
}
NUMBERS = _pairs("zwei/two, drei/three, vier/four, zehn/ten")
DETERMINERS = NUMBERS | _pairs(
    "der/the, ein/a, kein/a, dies/this, mein/my, dein/your, unser/our, welch/which, "
    "wie viele/how many"
)
# Conjunctions and question words.
WORDS = _pairs(
    "weil/because, obwohl/although, dass/that, ob/whether, und/and, aber/but, "
    "warum/why, wann/when, wo/where"
)
# A noun takes at most one adjective of each group.
OPPOSITES = (
    "alt jung neu frisch kaputt schmutzig, müde krank hungrig durstig glücklich traurig, "
    "klein groß, rot blau grün schwarz weiß, teuer billig, interessant langweilig, warm kalt"
)
