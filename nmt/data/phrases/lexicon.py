"""The nouns, adjectives and small words of the `phrases` corpus, German and English side by side.

Each German lemma has one English lemma and the reverse. To add a word is to add a row.
"""

from typing import cast

from nmt.data.phrases.words import (
    Adjective,
    Adverb,
    Case,
    Gender,
    Name,
    Noun,
    Preposition,
    Pronoun,
    Spot,
)

# German, plural, gender, English, plural, kinds. "-" for no plural; Junge/Jungen for a weak noun.
_NOUNS = """
Mann            Männer       m  man          men            person adult young
Frau            Frauen       f  woman        women          person adult young
Kind            Kinder       n  child        children       person kid
Junge/Jungen    Jungen       m  boy          boys           person kid
Mädchen         Mädchen      n  girl         girls          person kid
Lehrer          Lehrer       m  teacher      teachers       person adult young
Ärztin          Ärztinnen    f  doctor       doctors        person adult young
Student/Studenten  Studenten  m  student     students       person young
Bäcker          Bäcker       m  baker        bakers         person adult young
Polizist/Polizisten  Polizisten  m  policeman  policemen    person adult young
Gast            Gäste        m  guest        guests         person adult young
Vater           -            m  father       -              person kin adult
Mutter          -            f  mother       -              person kin adult
Großmutter      -            f  grandmother  -              person kin adult
Bruder          Brüder       m  brother      brothers       person kin young
Schwester       Schwestern   f  sister       sisters        person kin young
Sohn            Söhne        m  son          sons           person kin
Tochter         Töchter      f  daughter     daughters      person kin
Onkel           Onkel        m  uncle        uncles         person kin adult
Tante           Tanten       f  aunt         aunts          person kin adult
Nachbar/Nachbarn  Nachbarn   m  neighbour    neighbours     person kin adult young
Hund            Hunde        m  dog          dogs           animal beast pet
Katze           Katzen       f  cat          cats           animal beast pet
Pferd           Pferde       n  horse        horses         animal beast
Vogel           Vögel        m  bird         birds          animal bird
Kuh             Kühe         f  cow          cows           animal beast
Apfel           Äpfel        m  apple        apples         food sweet fresh several priced
Kuchen          Kuchen       m  cake         cakes          food sweet fresh baked priced
Ei              Eier         n  egg          eggs           food fresh cooked several
Kartoffel       Kartoffeln   f  potato       potatoes       food cooked several priced
Tomate          Tomaten      f  tomato       tomatoes       food fresh several priced
Suppe           -            f  soup         -              food cooked hot
Brot            -            n  bread        -              food fresh baked priced
Käse            -            m  cheese       -              food priced
Milch           -            f  milk         -              drink fresh
Wasser          -            n  water        -              drink
Tee             -            m  tea          -              drink hot
Kaffee          -            m  coffee       -              drink hot
Buch            Bücher       n  book         books          read print flat written lengthy
Brief           Briefe       m  letter       letters        read flat sent written waste lengthy
Zeitung         Zeitungen    f  newspaper    newspapers     read print flat waste
Geschichte      Geschichten  f  story        stories        read written lengthy
Auto            Autos        n  car          cars           vehicle machine painted
Fahrrad         Fahrräder    n  bicycle      bicycles       vehicle machine painted
Bus             Busse        m  bus          buses          transport
Zug             Züge         m  train        trains         transport
Tisch           Tische       m  table        tables         furniture painted
Stuhl           Stühle       m  chair        chairs         furniture painted waste
Bett            Betten       n  bed          beds           furniture
Lampe           Lampen       f  lamp         lamps          furniture machine painted waste
Mantel          Mäntel       m  coat         coats          clothing
Hut             Hüte         m  hat          hats           clothing waste
Hemd            Hemden       n  shirt        shirts         clothing waste
Schuh           Schuhe       m  shoe         shoes          clothing waste several
Tasche          Taschen      f  bag          bags           thing painted heavy priced
Schlüssel       Schlüssel    m  key          keys           thing flat
Uhr             Uhren        f  watch        watches        thing flat machine priced
Ball            Bälle        m  ball         balls          thing painted priced
Bild            Bilder       n  picture      pictures       thing flat sent priced
Blume           Blumen       f  flower       flowers        thing painted sent waste several priced
Flasche         Flaschen     f  bottle       bottles        thing painted waste
Geschenk        Geschenke    n  present      presents       thing sent priced
Koffer          Koffer       m  suitcase     suitcases      thing painted heavy priced
Fenster         Fenster      n  window       windows        opening
Tür             Türen        f  door         doors          opening painted
Garten          Gärten       m  garden       gardens        area home
Park            Parks        m  park         parks          area
Wald            Wälder       m  forest       forests        area dim
Küche           Küchen       f  kitchen      kitchens       room dim
Zimmer          Zimmer       n  room         rooms          room dim
Büro            Büros        n  office       offices        room
Schule          Schulen      f  school       schools        building
Haus            Häuser       n  house        houses         building home painted
Kirche          Kirchen      f  church       churches       building
Stadt           Städte       f  city         cities         town
Dorf            Dörfer       n  village      villages       town
Bahnhof         Bahnhöfe     m  station      stations       building
See             Seen         m  lake         lakes          nature
Baum            Bäume        m  tree         trees          nature aged
Straße          Straßen      f  street       streets        road dim
Brücke          Brücken      f  bridge       bridges        road
Zeit            -            f  time         -              abstract
"""

# German/stem, English, kinds of noun.
_ADJECTIVES = """
alt          old          adult animal read vehicle furniture clothing thing building town aged
jung         young        young pet
klein        small        kid animal vehicle furniture thing room area building town nature
groß         big          animal vehicle furniture thing room area building town nature
nett         nice         person
freundlich   friendly     person pet
müde/müd     tired        person animal
krank        sick         person animal
glücklich    happy        person
traurig      sad          person
hungrig      hungry       person animal
durstig      thirsty      person animal
klug         clever       person pet
faul         lazy         person pet
reich        rich         person
neu          new          read vehicle furniture clothing thing building
schön        beautiful    bird clothing thing area town building nature road
teuer/teur   expensive    priced vehicle furniture clothing
billig       cheap        priced vehicle furniture clothing
schwer       heavy        heavy furniture
rot          red          painted clothing
blau         blue         painted clothing
grün         green        painted clothing
schwarz      black        pet clothing
weiß         white        pet clothing painted
warm         warm         hot room
kalt         cold         drink hot room
frisch       fresh        fresh
süß          sweet        sweet
kaputt       broken       machine opening furniture
lang         long         lengthy road
interessant  interesting  read
langweilig   boring       read
schmutzig    dirty        clothing vehicle opening room pet
dunkel/dunkl  dark        dim
"""

# Preposition, case, noun, tags (verbs.py names them).
_SPOTS = """
in      dat  Garten   out rest eat work
in      dat  Park     out rest
in      dat  Wald     out
in      dat  Küche    in eat work furniture
in      dat  Zimmer   in rest furniture
in      dat  Büro     in work furniture
in      dat  Schule   in work
in      dat  Haus     in rest live
in      dat  Stadt    work live
in      dat  Dorf     live
auf     dat  Straße   out vehicle
vor     dat  Haus     out wait vehicle
hinter  dat  Haus     out vehicle
neben   dat  Haus     vehicle
vor     dat  Schule   wait vehicle
vor     dat  Kirche   wait vehicle
neben   dat  Kirche   live vehicle
bei     dat  Bahnhof  wait live
bei     dat  Brücke   wait
unter   dat  Baum     out rest seat
an      dat  See      out rest live
in      dat  See      water
an      dat  Fenster  seat
an      dat  Tisch    seat eat work
auf     dat  Stuhl    top seat
auf     dat  Tisch    top
auf     dat  Bett     top
unter   dat  Bett     top
in      dat  Tasche   top
neben   dat  Bett     furniture
neben   dat  Tür      furniture
vor     dat  Fenster  furniture
durch   acc  Park     through
durch   acc  Wald     through
durch   acc  Stadt    through
durch   acc  Dorf     through
durch   acc  Garten   through
in      acc  Garten   into
in      acc  Park     into
in      acc  Wald     into
in      acc  Küche    into
in      acc  Zimmer   into
in      acc  Büro     into
in      acc  Haus     into
auf     acc  Tisch    onto
auf     acc  Stuhl    onto
auf     acc  Bett     onto
neben   acc  Lampe    onto
neben   acc  Tasche   onto
in      acc  Tasche   onto
"""


def _nouns() -> dict[str, Noun]:
    nouns = {}
    for line in _NOUNS.strip().splitlines():
        head, plural, gender, english, english_plural, *kinds = line.split()
        german, _, oblique = head.partition("/")
        nouns[german] = Noun(
            german,
            oblique or german,
            plural.replace("-", ""),
            cast(Gender, gender),
            english,
            english_plural.replace("-", ""),
            tuple(kinds),
        )
    return nouns


def _adjectives() -> dict[str, Adjective]:
    adjectives = {}
    for line in _ADJECTIVES.strip().splitlines():
        head, english, *kinds = line.split()
        german, _, stem = head.partition("/")
        adjectives[german] = Adjective(german, stem or german, english, tuple(kinds))
    return adjectives


PREPOSITIONS = {
    (word.german, word.case): word
    for word in (
        Preposition("in", "in"),
        Preposition("auf", "on"),
        Preposition("unter", "under"),
        Preposition("neben", "next to"),
        Preposition("vor", "in front of"),
        Preposition("hinter", "behind"),
        Preposition("bei", "near"),
        Preposition("an", "at"),
        Preposition("mit", "with"),
        Preposition("für", "for", "acc"),
        Preposition("durch", "through", "acc"),
        Preposition("in", "into", "acc"),
        Preposition("auf", "on", "acc"),
        Preposition("neben", "next to", "acc"),
    )
}


def _spots() -> tuple[Spot, ...]:
    spots = []
    for line in _SPOTS.strip().splitlines():
        preposition, case, noun, *tags = line.split()
        key = (preposition, cast(Case, case))
        spots.append(Spot(PREPOSITIONS[key], NOUNS[noun], tuple(tags)))
    return tuple(spots)


NOUNS = _nouns()
ADJECTIVES = _adjectives()
SPOTS = _spots()

NAMES = {
    name.text: name
    for name in (
        Name("Anna", "f"),
        Name("Lisa", "f"),
        Name("Maria", "f"),
        Name("Paul", "m"),
        Name("Peter", "m"),
        Name("Thomas", "m"),
    )
}

NUMBERS = {
    "zwei": "two",
    "drei": "three",
    "vier": "four",
    "fünf": "five",
    "sechs": "six",
    "zehn": "ten",
    "zwölf": "twelve",
    "zwanzig": "twenty",
}
SMALL_NUMBERS = ("zwei", "drei", "vier")

TIMES = {
    adverb.german: adverb
    for adverb in (
        Adverb("heute", "today", ("present", "past", "modal")),
        Adverb("jetzt", "now", ("present", "modal")),
        Adverb("gestern", "yesterday", ("past",)),
        Adverb("letzte Woche", "last week", ("past",)),
        Adverb("am Montag", "on Monday", ("past", "modal")),
        Adverb("am Sonntag", "on Sunday", ("past", "modal")),
        Adverb("am Abend", "in the evening", ("past", "modal")),
        Adverb("morgen", "tomorrow", ("modal",)),
        Adverb("bald", "soon", ("modal",)),
        Adverb("jeden Tag", "every day", ("habit",)),
        Adverb("jeden Morgen", "every morning", ("habit",)),
    )
}
FREQUENCIES = {
    adverb.german: adverb
    for adverb in (
        Adverb("immer", "always"),
        Adverb("oft", "often"),
        Adverb("manchmal", "sometimes"),
        Adverb("nie", "never"),
    )
}
MANNERS = {
    adverb.german: adverb
    for adverb in (
        Adverb("allein", "alone"),
        Adverb("laut", "loudly"),
        Adverb("zusammen", "together"),
    )
}
DEGREES = {"sehr": "very", "zu": "too"}
CONJUNCTIONS = {
    "weil": "because",
    "obwohl": "although",
    "dass": "that",
    "ob": "whether",
    "wenn": "if",
}

ICH = Pronoun("ich", "mich", "mir", "I", "me", 1)
DU = Pronoun("du", "dich", "dir", "you", "you", 2)
ER = Pronoun("er", "ihn", "ihm", "he", "him", 3)
SIE = Pronoun("sie", "sie", "ihr", "she", "her", 3)
WIR = Pronoun("wir", "uns", "uns", "we", "us", 1, plural=True)
# The German word follows the noun's gender, the English one follows what it names.
IT = {
    "m": Pronoun("er", "ihn", "ihm", "it", "it", 3),
    "f": Pronoun("sie", "sie", "ihr", "it", "it", 3),
    "n": Pronoun("es", "es", "ihm", "it", "it", 3),
}
GIRL = Pronoun("es", "es", "ihm", "she", "her", 3)
THEY = Pronoun("sie", "sie", "ihnen", "they", "them", 3, plural=True)

# Of these, two cannot be said of the same thing at once.
OPPOSITES = (
    ("alt", "jung", "neu"),
    ("klein", "groß"),
    ("glücklich", "traurig"),
    ("interessant", "langweilig"),
    ("teuer", "billig"),
    ("warm", "kalt"),
    ("neu", "kaputt"),
    ("neu", "schmutzig"),
    ("alt", "frisch"),
    ("nett", "freundlich"),
    ("rot", "blau", "grün", "schwarz", "weiß"),
)
