"""The grammar of the built-in corpus, against sentences and paradigms typed by hand."""

from typing import Any

import pytest

from nmt.data.phrases.grammar import finite, sentence
from nmt.data.phrases.lexicon import ADJECTIVES, MODALS, NAMES, NOUNS, VERBS, Adjective
from nmt.data.phrases.tree import (
    ACC,
    DAT,
    DU,
    ER,
    ICH,
    NOM,
    SIE,
    WHAT,
    WHO,
    WIR,
    Clause,
    Nominal,
    noun_phrase,
    pronoun_for,
    relative_pronoun,
)


def np(words: str, *, plural: bool = False, relative: Clause | None = None) -> Nominal:
    """Read "der alt Mann": determiner, perhaps an adjective, noun, in their dictionary forms."""
    determiner, *adjective, noun = words.split()
    described = ADJECTIVES[adjective[0]] if adjective else None
    determiner = determiner.replace("wieviele", "wie viele")
    return noun_phrase(NOUNS[noun], determiner, described, plural)._replace(relative=relative)


def gap(noun: str, *, plural: bool = False) -> Nominal:
    return relative_pronoun(np(f"der {noun}", plural=plural))


def again(noun: str, *, plural: bool = False) -> Nominal:
    return pronoun_for(np(f"der {noun}", plural=plural))


def at(preposition: str, nominal: Nominal | str) -> tuple[str, Nominal]:
    return preposition, np(nominal) if isinstance(nominal, str) else nominal


def say(
    subject: Nominal | str, verb: str, thing: Nominal | str | None = None, **rest: Any
) -> Clause:
    """Make a clause; words stand for themselves."""
    for key, table in (("modal", MODALS), ("predicate", ADJECTIVES)):
        if key in rest:
            rest[key] = table[rest[key]]
    subject = np(subject) if isinstance(subject, str) else subject
    thing = np(thing) if isinstance(thing, str) else thing
    return Clause(subject, VERBS[verb], thing, **rest)


def because(main: Clause, reason: Clause, conjunction: str = "weil") -> Clause:
    return main._replace(after=(conjunction, reason))


ANNA, LISA, _, PAUL, *_ = map(noun_phrase, NAMES)
PAST: dict[str, Any] = {"past": True}

# The pairs are written by hand: German by the rules of the Duden, English by those of any grammar.
GOLD = [
    # the present: progressive for what is going on, simple for states
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
        say(np("der Kind", plural=True), "trinken", "ein kalt Milch"),
        "Die Kinder trinken kalte Milch.",
        "The children are drinking cold milk.",
    ),
    (
        say(DU, "arbeiten", time="heute", front=True),
        "Heute arbeitest du.",
        "Today you are working.",
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
        say(ANNA, "suchen", np("zehn teuer Mantel", plural=True)),
        "Anna sucht zehn teure Mäntel.",
        "Anna is looking for ten expensive coats.",
    ),
    # prepositions: where (dative), where to (accusative), merged articles
    (
        say(ANNA, "spielen", phrase=at("in", "der klein Garten")),
        "Anna spielt im kleinen Garten.",
        "Anna is playing in the small garden.",
    ),
    (
        say(ANNA, "gehen", phrase=at("in|acc", "der klein Garten"), **PAST),
        "Anna ist in den kleinen Garten gegangen.",
        "Anna went into the small garden.",
    ),
    (
        say("der Gast", "legen", "der Brief", phrase=at("auf|acc", "der Tisch")),
        "Der Gast legt den Brief auf den Tisch.",
        "The guest is putting the letter on the table.",
    ),
    (
        say("der Brief", "liegen", phrase=at("auf", "der Tisch")),
        "Der Brief liegt auf dem Tisch.",
        "The letter is lying on the table.",
    ),
    (
        say("dies Hund", "laufen", phrase=at("durch|acc", "unser schön Garten")),
        "Dieser Hund läuft durch unseren schönen Garten.",
        "This dog is running through our beautiful garden.",
    ),
    (
        say("der Polizist", "warten", phrase=at("bei", "der Bahnhof"), **PAST),
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
        say(PAUL, "schwimmen", phrase=at("in", "der See"), time="letzte Woche", **PAST),
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
        say(np("der Polizist", plural=True), "schlafen", modal="wollen", past=True),
        "Die Polizisten wollten schlafen.",
        "The policemen wanted to sleep.",
    ),
    (
        say(DU, "backen", "ein Kuchen", modal="können", time="morgen", front=True),
        "Morgen kannst du einen Kuchen backen.",
        "Tomorrow you can bake a cake.",
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
        say("der Hund", "trinken", "kein Wasser", negated=True),
        "Der Hund trinkt kein Wasser.",
        "The dog is not drinking any water.",
    ),
    (
        say(PAUL, "kaufen", "kein Tisch", negated=True, **PAST),
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
    (
        say(ICH, "kaufen", np("kein blau Hemd", plural=True), negated=True, **PAST),
        "Ich habe keine blauen Hemden gekauft.",
        "I did not buy any blue shirts.",
    ),
    (
        say(WIR, "wegwerfen", again("Zeitung"), negated=True, time="heute"),
        "Wir werfen sie heute nicht weg.",
        "We are not throwing it away today.",
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
    (
        say(WHO, "essen", "der Käse", question="wer", **PAST),
        "Wer hat den Käse gegessen?",
        "Who ate the cheese?",
    ),
    (
        say("der Lehrer", "suchen", WHAT, question="wer"),
        "Was sucht der Lehrer?",
        "What is the teacher looking for?",
    ),
    (say(ER, "besuchen", WHO, question="wer", **PAST), "Wen hat er besucht?", "Whom did he visit?"),
    (say(ANNA, "helfen", WHO, question="wer"), "Wem hilft Anna?", "Whom is Anna helping?"),
    (
        say("der Mann", "sehen", "welch alt Hund", modal="können", question="wer"),
        "Welchen alten Hund kann der Mann sehen?",
        "Which old dog can the man see?",
    ),
    (
        say(DU, "essen", np("wieviele Apfel", plural=True), question="wer", **PAST),
        "Wie viele Äpfel hast du gegessen?",
        "How many apples did you eat?",
    ),
    (
        say(
            np("wieviele Kind", plural=True), "spielen", phrase=at("in", "der Park"), question="wer"
        ),
        "Wie viele Kinder spielen im Park?",
        "How many children are playing in the park?",
    ),
    # relative clauses: gender and case of the pronoun, agreement across them
    (
        say(
            np("der Frau", relative=say(gap("Frau"), "arbeiten", phrase=at("in", "der Garten"))),
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
        ),
        "Der Apfel, den ich gestern gekauft habe, ist süß.",
        "The apple that I bought yesterday is sweet.",
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
                relative=say(WIR, "wohnen", phrase=at("in", gap("Stadt"))),
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
            say(again("Tasche"), "sein", predicate="teuer"),
        ),
        "Der Vater kauft die Tasche nicht, weil sie teuer ist.",
        "The father is not buying the bag because it is expensive.",
    ),
    (
        because(
            say("der Mädchen", "suchen", "der Schlüssel"),
            say(again("Mädchen"), "brauchen", again("Schlüssel")),
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
            say(again("Schwester", plural=True), "sein", predicate="müde", **PAST),
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
    # joined and nested clauses
    (
        say("der Hund", "schlafen", also=("aber", say("der Katze", "spielen"))),
        "Der Hund schläft, aber die Katze spielt.",
        "The dog is sleeping, but the cat is playing.",
    ),
    (
        because(
            say(PAUL, "weinen", also=("und", say("der Vater", "kochen", "ein Suppe"))),
            say(ER, "sein", predicate="traurig"),
        ),
        "Paul weint, weil er traurig ist, und der Vater kocht Suppe.",
        "Paul is crying because he is sad, and the father is cooking soup.",
    ),
    (
        because(
            say(ER, "denken"),
            because(say(LISA, "warten", negated=True), say("der Zimmer", "sein", predicate="kalt")),
            "dass",
        ),
        "Er denkt, dass Lisa nicht wartet, weil das Zimmer kalt ist.",
        "He thinks that Lisa is not waiting because the room is cold.",
    ),
]


@pytest.mark.parametrize(("tree", "german", "english"), GOLD, ids=[pair[1] for pair in GOLD])
def test_gold_pairs(tree: Clause, german: str, english: str) -> None:
    assert sentence(tree) == (german, english)


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
CASES = {"nom": NOM, "acc": ACC, "dat": DAT}


@pytest.mark.parametrize(("determiner", "case"), PARADIGM)
def test_declension(determiner: str, case: str) -> None:
    good = Adjective("gut", "gut", "good", ())
    columns = [("Mann", False), ("Frau", False), ("Kind", False), ("Mann", True)]
    found = [noun_phrase(NOUNS[noun], determiner, good, plural) for noun, plural in columns]
    assert ", ".join(one.forms[CASES[case]] for one in found) == PARADIGM[determiner, case]


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
    one, many = (noun_phrase(NOUNS[noun], plural=plural).forms for plural in (False, True))
    assert " ".join([*one[:3], *many[1:3]]) == forms


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
    assert " ".join(finite(VERBS[verb], form) for form in range(4)) == forms


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
    verb = MODALS[modal]
    assert " ".join(finite(verb, form) for form in range(4)) == present
    if past:
        assert " ".join(finite(verb, form, verb.participle) for form in range(4)) == past
    else:
        assert verb.participle == "-"
