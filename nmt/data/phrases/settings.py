"""The knobs of the corpus: sizes, lengths, and how often each construction and choice occurs."""

SIZES = {"train": 24_000, "validation": 500, "test": 1_000, "long": 500}

# Words between blanks, in both languages. A sentence of `long` has more than MAX_WORDS.
MIN_WORDS = 3
MAX_WORDS = 13
MAX_LONG_WORDS = 28

# Sentences of train, validation and test: functions of `splits.STRUCTURES`, by weight.
STRUCTURES = {
    "statement": 32,
    "property": 8,
    "yes_no_question": 6,
    "adverb_question": 5,
    "nominal_question": 6,
    "number_question": 2,
    "relative_subject": 9,
    "relative_object": 7,
    "because": 15,
    "although": 6,
    "that": 6,
    "whether": 3,
    "condition": 6,
}

# Sentences of long, by weight.
LONG_STRUCTURES = {
    "two_statements": 4,
    "relative_and_statement": 4,
    "reason_and_statement": 4,
    "condition_and_statement": 3,
    "reported_reason": 5,
    "relative_and_reason": 4,
}

# What a clause is about, by weight: "modal" has a modal verb, "habit" says what happens often.
MOODS = {"present": 34, "past": 34, "modal": 22, "habit": 10}

# Persons, by weight: those who act, and those to whom something is done.
SUBJECTS = {"pronoun": 30, "name": 22, "noun": 48}
OBJECTS = {"pronoun": 20, "name": 25, "noun": 55}

# Determiners, by weight; "ein" in a plural means none or a number.
SUBJECT_DETERMINERS = {"der": 72, "ein": 10, "mein": 9, "unser": 9}
OBJECT_DETERMINERS = {"der": 45, "ein": 35, "mein": 8, "dein": 4, "unser": 8}
KNOWN_DETERMINERS = {"der": 74, "mein": 13, "unser": 13}
ASKED_DETERMINERS = {"der": 55, "mein": 20, "dein": 20, "unser": 5}
PLACE_DETERMINERS = {"der": 90, "mein": 5, "unser": 5}

# Probabilities.
ADJECTIVE = 0.22
PLACE_ADJECTIVE = 0.08
PLURAL = 0.2
PLURAL_OF_SEVERAL = 0.7  # of eggs, shoes, flowers ...
NUMBER = 0.4  # in plurals with "ein"
POSSESSIVE_KIN = 0.6  # my mother, rather than the mother
THING_SUBJECT = 0.07
NEGATED = 0.18
PAST_MODAL = 0.3
PAST_PROPERTY = 0.35
TIME = 0.4
FRONT = 0.5  # of the adverbs of time
FREQUENCY = 0.6  # of the habits; the others have an adverb of time
MANNER = 0.2
PLACE = 0.5
PLACE_WITH_OBJECT = 0.15
COMPANION = 0.2
DEGREE = 0.25
