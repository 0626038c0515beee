"""What is a sensible reason or condition for what: adjectives and verbs by verb.

Reasons stand behind weil, reasons against behind obwohl, conditions behind wenn.
"""

# What the subject is that does it (True: that does not do it), with weil.
SUBJECT_BECAUSE = {
    False: {
        "essen": "hungrig",
        "trinken": "durstig",
        "kochen": "hungrig",
        "schlafen": "müde krank",
        "einschlafen": "müde",
        "lachen": "glücklich",
        "singen": "glücklich",
        "tanzen": "glücklich",
        "weinen": "traurig müde hungrig",
        "sitzen": "müde",
        "anrufen": "traurig glücklich",
        "zurückkommen": "hungrig müde",
    },
    True: {
        "arbeiten": "krank müde faul",
        "tanzen": "krank müde traurig",
        "singen": "krank traurig",
        "spielen": "krank müde",
        "schwimmen": "krank müde",
        "lachen": "traurig",
        "aufstehen": "müde krank faul",
        "kochen": "müde krank faul",
        "lesen": "müde",
        "schreiben": "müde faul",
        "helfen": "krank faul müde",
        "waschen": "faul müde",
        "aufräumen": "faul müde",
        "besuchen": "krank müde",
    },
}
# The same with obwohl.
SUBJECT_ALTHOUGH = {
    False: {
        "arbeiten": "krank müde reich",
        "tanzen": "krank müde traurig",
        "singen": "krank traurig",
        "spielen": "krank müde hungrig",
        "schwimmen": "krank müde",
        "lachen": "traurig",
        "aufstehen": "müde krank",
        "kochen": "müde krank",
        "lesen": "müde",
        "helfen": "krank müde",
        "warten": "müde hungrig krank",
        "waschen": "krank müde",
        "besuchen": "krank müde",
    },
    True: {
        "schlafen": "müde krank",
        "essen": "hungrig",
        "trinken": "durstig",
        "lachen": "glücklich",
    },
}
# What the object is, with weil and with obwohl.
OBJECT_BECAUSE = {
    False: {
        "kaufen": "billig schön frisch neu",
        "waschen": "schmutzig",
        "reparieren": "kaputt",
        "wegwerfen": "alt kaputt schmutzig",
        "lesen": "interessant",
        "besuchen": "krank nett freundlich traurig",
        "anrufen": "krank traurig",
        "einladen": "nett freundlich",
        "helfen": "krank müde",
        "mögen": "nett freundlich klug interessant schön warm süß frisch",
        "verkaufen": "alt groß",
        "aufräumen": "schmutzig",
        "suchen": "hungrig krank",
    },
    True: {
        "kaufen": "teuer alt kaputt",
        "essen": "kalt süß",
        "trinken": "kalt",
        "lesen": "lang langweilig",
        "mögen": "langweilig faul",
        "verkaufen": "kaputt",
        "einladen": "faul krank",
    },
}
OBJECT_ALTHOUGH = {
    False: {
        "kaufen": "teuer alt kaputt",
        "lesen": "lang langweilig",
        "mögen": "faul alt",
        "trinken": "kalt",
        "essen": "kalt",
        "einladen": "faul",
        "wegwerfen": "neu",
    },
    True: {
        "kaufen": "billig schön",
        "waschen": "schmutzig",
        "reparieren": "kaputt",
        "lesen": "interessant",
        "mögen": "nett freundlich",
        "aufräumen": "schmutzig",
        "besuchen": "krank",
    },
}
# What else the subject does with the object, as a reason; "nicht" where it does not.
WANTED = {
    False: {
        "suchen": ("brauchen",),
        "kaufen": ("brauchen", "mögen"),
        "besuchen": ("mögen", "lieben"),
        "anrufen": ("mögen", "lieben"),
        "einladen": ("mögen",),
        "wegwerfen": ("nicht brauchen", "nicht mögen"),
        "verkaufen": ("nicht brauchen", "nicht mögen"),
    },
    True: {
        "essen": ("nicht mögen",),
        "trinken": ("nicht mögen",),
        "kaufen": ("nicht brauchen", "nicht mögen"),
        "lesen": ("nicht verstehen",),
        "einladen": ("nicht mögen",),
        "besuchen": ("nicht mögen",),
        "verkaufen": ("brauchen",),
        "wegwerfen": ("brauchen",),
    },
}

# What keeps people from doing something else.
DUTIES: tuple[str, ...] = (
    "arbeiten",
    "schlafen",
    "kochen",
    "backen",
    "lesen",
    "schreiben",
    "reparieren",
    "waschen",
)
DUTIES += ("suchen", "besuchen", "treffen", "anrufen", "abholen", "aufräumen", "helfen", "schicken")
# What the duties, or being sick or tired, keep them from; and what is done with time to spare.
PLEASURES: tuple[str, ...] = (
    "tanzen",
    "spielen",
    "schwimmen",
    "singen",
    "lesen",
    "schreiben",
    "kochen",
    "backen",
)
PLEASURES += ("besuchen", "treffen", "anrufen", "einladen", "helfen", "waschen", "aufräumen")
PLEASURES += ("abholen", "reparieren", "kaufen", "zeigen", "schicken", "mitbringen")
EFFORTS = (*PLEASURES, "arbeiten", "aufstehen", "laufen")
# What is done in the open, where rain and cold matter.
OUTDOORS = ("spielen", "tanzen", "schwimmen", "warten", "arbeiten", "laufen", "singen")
# What one may hope that someone or something is.
HOPED: tuple[str, ...] = (
    "nett",
    "freundlich",
    "glücklich",
    "klug",
    "schön",
    "billig",
    "frisch",
    "interessant",
)
HOPED += ("neu", "warm", "süß")
