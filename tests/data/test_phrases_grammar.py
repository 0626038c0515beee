"""The grammar of the built-in corpus, against sentences and paradigms typed by hand."""

from dataclasses import replace
from typing import Any

import pytest

from nmt.data.phrases import inflection
from nmt.data.phrases.lexicon import (
    ADJECTIVES,
    DU,
    ER,
    FREQUENCIES,
    GIRL,
    ICH,
    IT,
    MANNERS,
    NAMES,
    NOUNS,
    PREPOSITIONS,
    SIE,
    THEY,
    TIMES,
    WIR,
)
from nmt.data.phrases.splits import render
from nmt.data.phrases.tree import (
    Asked,
    Clause,
    Nominal,
    NounPhrase,
    Phrase,
    Relative,
    Sentence,
    Subordinate,
)
from nmt.data.phrases.verbs import MODALS, VERBS
from nmt.data.phrases.words import Case, Gender

COPULA = VERBS["sein"]
WHO, WHAT = Asked(person=True), Asked(person=False)


def np(words: str, *, plural: bool = False, relative: Clause | None = None) -> NounPhrase:
    """Read "der alt Mann": determiner, perhaps an adjective, noun, in their dictionary forms."""
    determiner, *adjective, noun = words.split()
    if determiner == "wieviele":
        determiner = "wie viele"
    described = ADJECTIVES[adjective[0]] if adjective else None
    return NounPhrase(NOUNS[noun], determiner, described, plural, relative)


def gap(noun: str, *, plural: bool = False) -> Relative:
    return Relative(NOUNS[noun], plural)


def at(preposition: str, nominal: Nominal | str, case: Case = "dat") -> tuple[Phrase]:
    nominal = np(nominal) if isinstance(nominal, str) else nominal
    return (Phrase(PREPOSITIONS[preposition, case], nominal),)


def say(
    subject: Nominal | str, verb: str, thing: Nominal | str | None = None, **rest: Any
) -> Clause:
    """Make a clause; words stand for themselves ("gestern" for its adverb)."""
    tables: dict[str, dict[str, Any]] = {
        "modal": MODALS,
        "time": TIMES,
        "frequency": FREQUENCIES,
        "manner": MANNERS,
    }
    tables["predicate"] = ADJECTIVES
    for key, table in tables.items():
        if key in rest:
            rest[key] = table[rest[key]]
    subject = np(subject) if isinstance(subject, str) else subject
    thing = np(thing) if isinstance(thing, str) else thing
    return Clause(subject, VERBS[verb], object=thing, **rest)


def because(main: Clause, reason: Clause, conjunction: str = "weil") -> Sentence:
    return Sentence(main, after=Subordinate(conjunction, reason))


PAUL, ANNA, LISA = NAMES["Paul"], NAMES["Anna"], NAMES["Lisa"]
PAST: dict[str, Any] = {"tense": "past"}

# The pairs are written by hand: German by the rules of the Duden, English by those of any grammar.
GOLD = [
    # the present: progressive for what is going on, simple for states and habits
    (
        say("der Mann", "lesen", "ein Buch"),
        "Der Mann liest ein Buch.",
        "The man is reading a book.",
    ),
    (
        say("mein Bruder", "brauchen", "der neu Mantel"),
        "Mein Bruder braucht den neuen Mantel.",
        "My brother needs the new coat.",
    ),
    (
        say(np("der Kind", plural=True), "trinken", "ein kalt Milch", habit=True, frequency="oft"),
        "Die Kinder trinken oft kalte Milch.",
        "The children often drink cold milk.",
    ),
    (
        say(DU, "arbeiten", habit=True, time="jeden Tag", front=True),
        "Jeden Tag arbeitest du.",
        "Every day you work.",
    ),
    # cases, articles and endings
    (
        say("ein alt Mann", "kaufen", "ein rot Apfel", **PAST),
        "Ein alter Mann hat einen roten Apfel gekauft.",
        "An old man bought a red apple.",
    ),
    (
        say("unser nett Lehrer", "geben", "der klein Schlüssel", indirect=np("der krank Frau")),
        "Unser netter Lehrer gibt der kranken Frau den kleinen Schlüssel.",
        "Our nice teacher is giving the sick woman the small key.",
    ),
    (
        say(ICH, "helfen", np("der klein Kind", plural=True)),
        "Ich helfe den kleinen Kindern.",
        "I am helping the small children.",
    ),
    (
        say(WIR, "kaufen", np("ein frisch Ei", plural=True)),
        "Wir kaufen frische Eier.",
        "We are buying fresh eggs.",
    ),
    (
        say("der Student", "sehen", "der Junge"),
        "Der Student sieht den Jungen.",
        "The student sees the boy.",
    ),
    (
        say(ER, "danken", "der jung Nachbar", **PAST),
        "Er hat dem jungen Nachbarn gedankt.",
        "He thanked the young neighbour.",
    ),
    (
        say("der Frau", "haben", np("drei Tochter", plural=True), **PAST),
        "Die Frau hatte drei Töchter.",
        "The woman had three daughters.",
    ),
    (
        say(ANNA, "suchen", np("zwölf teuer Schuh", plural=True)),
        "Anna sucht zwölf teure Schuhe.",
        "Anna is looking for twelve expensive shoes.",
    ),
    # prepositions: where (dative), where to (accusative), merged articles
    (
        say(ANNA, "spielen", phrases=at("in", "der klein Garten")),
        "Anna spielt im kleinen Garten.",
        "Anna is playing in the small garden.",
    ),
    (
        say(ANNA, "gehen", phrases=at("in", "der klein Garten", "acc"), **PAST),
        "Anna ist in den kleinen Garten gegangen.",
        "Anna went into the small garden.",
    ),
    (
        say("der Gast", "legen", "der Brief", phrases=at("auf", "der Tisch", "acc")),
        "Der Gast legt den Brief auf den Tisch.",
        "The guest is putting the letter on the table.",
    ),
    (
        say("der Brief", "liegen", phrases=at("auf", "der Tisch")),
        "Der Brief liegt auf dem Tisch.",
        "The letter is lying on the table.",
    ),
    (
        say("der Lehrer", "tanzen", phrases=at("mit", np("unser Schwester", plural=True))),
        "Der Lehrer tanzt mit unseren Schwestern.",
        "The teacher is dancing with our sisters.",
    ),
    (
        say("der Polizist", "warten", phrases=at("bei", "der Bahnhof"), **PAST),
        "Der Polizist hat beim Bahnhof gewartet.",
        "The policeman waited near the station.",
    ),
    # verb second: the adverb in front, the subject behind the verb
    (
        say("der Mädchen", "finden", "der Ball", time="gestern", front=True, **PAST),
        "Gestern hat das Mädchen den Ball gefunden.",
        "Yesterday the girl found the ball.",
    ),
    (
        say(PAUL, "schwimmen", phrases=at("in", "der See"), time="letzte Woche", **PAST),
        "Paul ist letzte Woche im See geschwommen.",
        "Paul swam in the lake last week.",
    ),
    # separable verbs
    (
        say("der Tante", "anrufen", "mein Vater", time="heute"),
        "Die Tante ruft heute meinen Vater an.",
        "The aunt is calling my father today.",
    ),
    (
        say("der Onkel", "abholen", ICH, time="gestern", **PAST),
        "Der Onkel hat mich gestern abgeholt.",
        "The uncle picked me up yesterday.",
    ),
    (
        say("der Sohn", "aufräumen", "der Küche", modal="müssen"),
        "Der Sohn muss die Küche aufräumen.",
        "The son has to tidy up the kitchen.",
    ),
    # modals
    (
        say(np("der Polizist", plural=True), "schlafen", modal="wollen", tense="past"),
        "Die Polizisten wollten schlafen.",
        "The policemen wanted to sleep.",
    ),
    (
        say(DU, "backen", "ein Kuchen", modal="können", time="bald", front=True),
        "Bald kannst du einen Kuchen backen.",
        "Soon you can bake a cake.",
    ),
    (
        say("der Kind", "spielen", modal="dürfen", negated=True, time="am Abend"),
        "Das Kind darf am Abend nicht spielen.",
        "The child is not allowed to play in the evening.",
    ),
    (
        say("der Ärztin", "lesen", "der Brief", modal="möchten", negated=True),
        "Die Ärztin möchte den Brief nicht lesen.",
        "The doctor would not like to read the letter.",
    ),
    # negation
    (
        say("der Hund", "trinken", "ein Wasser", negated=True),
        "Der Hund trinkt kein Wasser.",
        "The dog is not drinking any water.",
    ),
    (
        say(PAUL, "kaufen", "ein Tisch", negated=True, **PAST),
        "Paul hat keinen Tisch gekauft.",
        "Paul did not buy a table.",
    ),
    (
        say(ICH, "mögen", "der Hut", negated=True),
        "Ich mag den Hut nicht.",
        "I do not like the hat.",
    ),
    (
        say(LISA, "suchen", "der Katze", negated=True, modal="können", time="heute"),
        "Lisa kann die Katze heute nicht suchen.",
        "Lisa cannot look for the cat today.",
    ),
    (
        say("der Suppe", "sein", predicate="warm", negated=True),
        "Die Suppe ist nicht warm.",
        "The soup is not warm.",
    ),
    # questions
    (
        say("der Tochter", "lesen", "der Geschichte", question="ja"),
        "Liest die Tochter die Geschichte?",
        "Is the daughter reading the story?",
    ),
    (
        say(DU, "zumachen", "der Tür", question="ja", **PAST),
        "Hast du die Tür zugemacht?",
        "Did you close the door?",
    ),
    (
        say("der Kind", "weinen", question="warum"),
        "Warum weint das Kind?",
        "Why is the child crying?",
    ),
    (
        say("dein Schlüssel", "sein", question="wo"),
        "Wo ist dein Schlüssel?",
        "Where is your key?",
    ),
    (
        say(SIE, "wohnen", question="wo"),
        "Wo wohnt sie?",
        "Where does she live?",
    ),
    (say(WHO, "essen", "der Käse", **PAST), "Wer hat den Käse gegessen?", "Who ate the cheese?"),
    (
        say("der Lehrer", "suchen", WHAT),
        "Was sucht der Lehrer?",
        "What is the teacher looking for?",
    ),
    (say(ER, "besuchen", WHO, **PAST), "Wen hat er besucht?", "Whom did he visit?"),
    (say(ANNA, "helfen", WHO), "Wem hilft Anna?", "Whom is Anna helping?"),
    (
        say(DU, "essen", np("wieviele Apfel", plural=True), **PAST),
        "Wie viele Äpfel hast du gegessen?",
        "How many apples did you eat?",
    ),
    (
        say(np("wieviele Kind", plural=True), "spielen", phrases=at("in", "der Park")),
        "Wie viele Kinder spielen im Park?",
        "How many children are playing in the park?",
    ),
    # relative clauses: gender and case of the pronoun, agreement across them
    (
        say(
            np("der Frau", relative=say(gap("Frau"), "arbeiten", phrases=at("in", "der Garten"))),
            "sein",
            predicate="müde",
        ),
        "Die Frau, die im Garten arbeitet, ist müde.",
        "The woman who is working in the garden is tired.",
    ),
    (
        say(
            np("der Apfel", relative=say(ICH, "kaufen", gap("Apfel"), time="gestern", **PAST)),
            "sein",
            predicate="süß",
            degree="sehr",
        ),
        "Der Apfel, den ich gestern gekauft habe, ist sehr süß.",
        "The apple that I bought yesterday is very sweet.",
    ),
    (
        say(
            np(
                "der Kind",
                plural=True,
                relative=say("der Mann", "helfen", gap("Kind", plural=True), **PAST),
            ),
            "lachen",
        ),
        "Die Kinder, denen der Mann geholfen hat, lachen.",
        "The children whom the man helped are laughing.",
    ),
    (
        say(
            np(
                "der Stadt",
                relative=say(WIR, "wohnen", phrases=at("in", gap("Stadt"))),
            ),
            "sein",
            predicate="schön",
        ),
        "Die Stadt, in der wir wohnen, ist schön.",
        "The city in which we live is beautiful.",
    ),
    (
        say(
            "der Junge",
            "wegwerfen",
            np("der Brief", relative=say(LISA, "mitbringen", gap("Brief"), **PAST)),
            **PAST,
        ),
        "Der Junge hat den Brief weggeworfen, den Lisa mitgebracht hat.",
        "The boy threw away the letter that Lisa brought.",
    ),
    # subordinate clauses: the verb last, the pronoun in the gender of its noun
    (
        because(
            say("der Vater", "kaufen", "der Tasche", negated=True),
            say(IT["f"], "sein", predicate="teuer", degree="zu"),
        ),
        "Der Vater kauft die Tasche nicht, weil sie zu teuer ist.",
        "The father is not buying the bag because it is too expensive.",
    ),
    (
        because(
            say("der Mädchen", "suchen", "der Schlüssel"),
            say(GIRL, "brauchen", IT["m"]),
        ),
        "Das Mädchen sucht den Schlüssel, weil es ihn braucht.",
        "The girl is looking for the key because she needs it.",
    ),
    (
        because(
            say("der Bäcker", "schwimmen", modal="können", negated=True, time="heute"),
            say(ER, "anrufen", "der Gast", modal="müssen"),
        ),
        "Der Bäcker kann heute nicht schwimmen, weil er den Gast anrufen muss.",
        "The baker cannot swim today because he has to call the guest.",
    ),
    (
        because(
            say(np("der Schwester", plural=True), "tanzen", **PAST),
            say(THEY, "sein", predicate="müde", **PAST),
            "obwohl",
        ),
        "Die Schwestern haben getanzt, obwohl sie müde waren.",
        "The sisters danced although they were tired.",
    ),
    (
        because(
            say("der Mutter", "sagen"),
            say("der Bruder", "zurückkommen", time="jetzt"),
            "dass",
        ),
        "Die Mutter sagt, dass der Bruder jetzt zurückkommt.",
        "The mother says that the brother is coming back now.",
    ),
    (
        because(
            say(ICH, "wissen", negated=True),
            say(ANNA, "aufstehen", **PAST),
            "ob",
        ),
        "Ich weiß nicht, ob Anna aufgestanden ist.",
        "I do not know whether Anna got up.",
    ),
    (
        Sentence(
            say(SIE, "besuchen", "der Großmutter", modal="können"),
            before=Subordinate("wenn", say(LISA, "haben", "ein Zeit")),
        ),
        "Wenn Lisa Zeit hat, kann sie die Großmutter besuchen.",
        "If Lisa has time, she can visit the grandmother.",
    ),
    # joined and nested clauses
    (
        Sentence(
            say("der Hund", "schlafen"),
            joint="aber",
            also=Sentence(say("der Katze", "spielen", manner="allein")),
        ),
        "Der Hund schläft, aber die Katze spielt allein.",
        "The dog is sleeping, but the cat is playing alone.",
    ),
    (
        replace(
            because(say(PAUL, "weinen"), say(ER, "sein", predicate="traurig")),
            joint="und",
            also=Sentence(say("der Vater", "kochen", "ein Suppe")),
        ),
        "Paul weint, weil er traurig ist, und der Vater kocht Suppe.",
        "Paul is crying because he is sad, and the father is cooking soup.",
    ),
    (
        Sentence(
            say(ER, "denken"),
            after=Subordinate(
                "dass",
                say(LISA, "warten", negated=True),
                Subordinate("weil", say(IT["n"], "regnen")),
            ),
        ),
        "Er denkt, dass Lisa nicht wartet, weil es regnet.",
        "He thinks that Lisa is not waiting because it is raining.",
    ),
]


@pytest.mark.parametrize(("tree", "german", "english"), GOLD, ids=[pair[1] for pair in GOLD])
def test_gold_pairs(tree: Clause | Sentence, german: str, english: str) -> None:
    sentence = tree if isinstance(tree, Sentence) else Sentence(tree)
    assert render(sentence) == (german, english)


# The German declension as grammars print it: Mann, Frau, Kind, plural.
PARADIGM = {
    ("der", "nom"): "der gute Mann, die gute Frau, das gute Kind, die guten Männer",
    ("der", "acc"): "den guten Mann, die gute Frau, das gute Kind, die guten Männer",
    ("der", "dat"): "dem guten Mann, der guten Frau, dem guten Kind, den guten Männern",
    ("ein", "nom"): "ein guter Mann, eine gute Frau, ein gutes Kind, gute Männer",
    ("ein", "acc"): "einen guten Mann, eine gute Frau, ein gutes Kind, gute Männer",
    ("ein", "dat"): "einem guten Mann, einer guten Frau, einem guten Kind, guten Männern",
    ("mein", "nom"): "mein guter Mann, meine gute Frau, mein gutes Kind, meine guten Männer",
    ("mein", "acc"): "meinen guten Mann, meine gute Frau, mein gutes Kind, meine guten Männer",
    (
        "mein",
        "dat",
    ): "meinem guten Mann, meiner guten Frau, meinem guten Kind, meinen guten Männern",
    ("kein", "nom"): "kein guter Mann, keine gute Frau, kein gutes Kind, keine guten Männer",
    ("kein", "acc"): "keinen guten Mann, keine gute Frau, kein gutes Kind, keine guten Männer",
    (
        "kein",
        "dat",
    ): "keinem guten Mann, keiner guten Frau, keinem guten Kind, keinen guten Männern",
    ("", "nom"): "guter Mann, gute Frau, gutes Kind, gute Männer",
    ("", "acc"): "guten Mann, gute Frau, gutes Kind, gute Männer",
    ("", "dat"): "gutem Mann, guter Frau, gutem Kind, guten Männern",
}
COLUMNS: list[tuple[str, Gender, bool]] = [
    ("Mann", "m", False),
    ("Frau", "f", False),
    ("Kind", "n", False),
    ("Mann", "m", True),
]


@pytest.mark.parametrize(("determiner", "case"), PARADIGM)
def test_declension(determiner: str, case: Case) -> None:
    found = []
    for noun, gender, plural in COLUMNS:
        bare = determiner == "ein" and plural  # there is no plural of ein
        article, ending = inflection.article("" if bare else determiner, gender, plural, case)
        word = inflection.noun_form(NOUNS[noun], plural, case)
        found.append(f"{article} gut{ending} {word}".strip())
    assert ", ".join(found) == PARADIGM[determiner, case]


@pytest.mark.parametrize(
    ("noun", "forms"),
    [
        ("Junge", "Junge Jungen Jungen Jungen Jungen"),
        ("Student", "Student Studenten Studenten Studenten Studenten"),
        ("Auto", "Auto Auto Auto Autos Autos"),
        ("Apfel", "Apfel Apfel Apfel Äpfel Äpfeln"),
        ("Ärztin", "Ärztin Ärztin Ärztin Ärztinnen Ärztinnen"),
    ],
)
def test_nouns(noun: str, forms: str) -> None:
    wanted: list[tuple[bool, Case]] = [(False, "nom"), (False, "acc"), (False, "dat")]
    wanted += [(True, "acc"), (True, "dat")]
    found = [inflection.noun_form(NOUNS[noun], plural, case) for plural, case in wanted]
    assert " ".join(found) == forms


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("arbeiten", "arbeite arbeitest arbeitet arbeiten"),
        ("lesen", "lese liest liest lesen"),
        ("essen", "esse isst isst essen"),
        ("schlafen", "schlafe schläfst schläft schlafen"),
        ("tanzen", "tanze tanzt tanzt tanzen"),
        ("finden", "finde findest findet finden"),
        ("einladen", "lade lädst lädt laden"),
        ("treffen", "treffe triffst trifft treffen"),
        ("waschen", "wasche wäschst wäscht waschen"),
        ("haben", "habe hast hat haben"),
        ("mögen", "mag magst mag mögen"),
        ("wissen", "weiß weißt weiß wissen"),
    ],
)
def test_present_of_verbs(verb: str, forms: str) -> None:
    word = VERBS[verb]
    persons = [(1, False), (2, False), (3, False), (1, True)]
    found = [inflection.present(word.german, word.third, *person) for person in persons]
    assert " ".join(found) == forms


@pytest.mark.parametrize(
    ("modal", "present", "past"),
    [
        ("können", "kann kannst kann können", "konnte konntest konnte konnten"),
        ("müssen", "muss musst muss müssen", "musste musstest musste mussten"),
        ("wollen", "will willst will wollen", "wollte wolltest wollte wollten"),
        ("dürfen", "darf darfst darf dürfen", "durfte durftest durfte durften"),
        ("sollen", "soll sollst soll sollen", ""),
        ("möchten", "möchte möchtest möchte möchten", ""),
    ],
)
def test_modals(modal: str, present: str, past: str) -> None:
    persons = [(1, False), (2, False), (3, False), (3, True)]
    for tense, forms in ((False, present), (True, past)):
        if forms:
            found = [inflection.modal_form(MODALS[modal], tense, *person) for person in persons]
            assert " ".join(found) == forms
