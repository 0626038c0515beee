"""The verbs of the `phrases` corpus: their forms in both languages and what each may be said of."""

import itertools
import re
from typing import cast

from nmt.data.phrases.words import Modal, Support, Verb

# German infinitive with | after a separable prefix; third person singular; Perfekt; English base,
# past, -ing form and particle. Columns are two blanks or more apart, here and below.
_FORMS = """
arbeiten       arbeitet    hat gearbeitet       work worked working
schlafen       schläft     hat geschlafen       sleep slept sleeping
lachen         lacht       hat gelacht          laugh laughed laughing
weinen         weint       hat geweint          cry cried crying
tanzen         tanzt       hat getanzt          dance danced dancing
singen         singt       hat gesungen         sing sang singing
spielen        spielt      hat gespielt         play played playing
warten         wartet      hat gewartet         wait waited waiting
schwimmen      schwimmt    ist geschwommen      swim swam swimming
auf|stehen     steht       ist aufgestanden     get got getting up
ein|schlafen   schläft     ist eingeschlafen    fall fell falling asleep
zurück|kommen  kommt       ist zurückgekommen   come came coming back
an|kommen      kommt       ist angekommen       arrive arrived arriving
sitzen         sitzt       hat gesessen         sit sat sitting
wohnen         wohnt       hat gewohnt          live lived living
liegen         liegt       hat gelegen          lie lay lying
stehen         steht       hat gestanden        stand stood standing
laufen         läuft       ist gelaufen         run ran running
gehen          geht        ist gegangen         go went going
essen          isst        hat gegessen         eat ate eating
trinken        trinkt      hat getrunken        drink drank drinking
kochen         kocht       hat gekocht          cook cooked cooking
backen         backt       hat gebacken         bake baked baking
kaufen         kauft       hat gekauft          buy bought buying
verkaufen      verkauft    hat verkauft         sell sold selling
lesen          liest       hat gelesen          read read reading
schreiben      schreibt    hat geschrieben      write wrote writing
reparieren     repariert   hat repariert        repair repaired repairing
waschen        wäscht      hat gewaschen        wash washed washing
suchen         sucht       hat gesucht          look looked looking for
finden         findet      hat gefunden         find found finding
verlieren      verliert    hat verloren         lose lost losing
sehen          sieht       hat gesehen          see saw seeing
hören          hört        hat gehört           hear heard hearing
lieben         liebt       hat geliebt          love loved loving
mögen          mag         hat gemocht          like liked liking
brauchen       braucht     hat gebraucht        need needed needing
haben          hat         hat gehabt           have had having
verstehen      versteht    hat verstanden       understand understood understanding
besuchen       besucht     hat besucht          visit visited visiting
treffen        trifft      hat getroffen        meet met meeting
an|rufen       ruft        hat angerufen        call called calling
ein|laden      lädt        hat eingeladen       invite invited inviting
ab|holen       holt        hat abgeholt         pick picked picking up
mit|bringen    bringt      hat mitgebracht      bring brought bringing
auf|machen     macht       hat aufgemacht       open opened opening
zu|machen      macht       hat zugemacht        close closed closing
weg|werfen     wirft       hat weggeworfen      throw threw throwing away
auf|räumen     räumt       hat aufgeräumt       tidy tidied tidying up
legen          legt        hat gelegt           put put putting
helfen         hilft       hat geholfen         help helped helping
danken         dankt       hat gedankt          thank thanked thanking
folgen         folgt       ist gefolgt          follow followed following
geben          gibt        hat gegeben          give gave giving
zeigen         zeigt       hat gezeigt          show showed showing
schicken       schickt     hat geschickt        send sent sending
sagen          sagt        hat gesagt           say said saying
glauben        glaubt      hat geglaubt         believe believed believing
denken         denkt       hat gedacht          think thought thinking
hoffen         hofft       hat gehofft          hope hoped hoping
wissen         weiß        hat gewusst          know knew knowing
fragen         fragt       hat gefragt          ask asked asking
regnen         regnet      hat geregnet         rain rained raining
sein           ist         ist gewesen          be was being
"""

# Infinitive; kinds of subject; kinds of object ("-": none); then any of
#   @tag        a place where it happens (lexicon.SPOTS); @!tag where the place may not be left out
#   dat         the object is in the dative
#   to          takes a person in the dative besides the object
#   state       no progressive in English
#   movable     a pronoun precedes the English particle
#   can, never  goes with the modal können only, with no modal at all
#   duty        goes with no dürfen, unless it is negated
#   once        is not said of what happens often
#   now         is said in the present only
#   done        is said in the past, or with modals
#   clause      takes a clause with dass or ob
#   pret:form   German uses this form for the past, not the Perfekt
_USES = """
arbeiten      person             -                     @work  duty
schlafen      person beast       -                     @rest
lachen        person             -                     never
weinen        person             -                     @in never
tanzen        person             -                     @out @in
singen        person bird        -                     @out
spielen       person pet         -                     @out
warten        person             -                     @wait
schwimmen     person             -                     @water
aufstehen     person             -
einschlafen   person beast       -                     never once
zurückkommen  person             -                     once
ankommen      person transport   -                     never once
sitzen        person pet bird    -                     @!seat
wohnen        person             -                     @!live state
liegen        flat               -                     @!top now
stehen        vehicle furniture  -                     @!vehicle @!furniture now
laufen        person beast       -                     @!through
gehen         person             -                     @!into
essen         person             food                  @eat
trinken       person             drink                 @eat
kochen        person             cooked
backen        person             baked
kaufen        person             food print vehicle furniture thing clothing
verkaufen     person             vehicle furniture home  once
lesen         person             read                  @rest
schreiben     person             written
reparieren    person             machine opening       once  duty
waschen       person             vehicle clothing pet  duty
suchen        person             thing clothing person pet  once  duty
finden        person             thing clothing pet    can done
verlieren     person             thing                 never done
sehen         person             person animal transport  can state
hören         person             person bird           can state
lieben        person             kin pet               never state
mögen         person             food drink read clothing person animal  never state pret:mochte
brauchen      person             thing clothing vehicle furniture  never state
haben         person             pet vehicle thing clothing  never state pret:hatte
verstehen     person             person read           can state
besuchen      person             person town
treffen       person             person                @wait
anrufen       person             person
einladen      person             person
abholen       person             person sent heavy     movable
mitbringen    person             food sent
aufmachen     person             opening heavy
zumachen      person             opening heavy
wegwerfen     person             waste                 movable once
aufräumen     person             room                  movable  duty
legen         person             flat                  @!onto once
helfen        person             person                dat
danken        person             person                dat  duty
folgen        person pet         person pet            dat never once
geben         person             thing print food      to once
zeigen        person             thing vehicle print   to once
schicken      person             sent                  to
sagen         person             -                     clause state
glauben       person             -                     clause state
denken        person             -                     clause state
hoffen        person             -                     clause state
wissen        person             -                     clause state
fragen        person             -                     clause state
regnen        -                  -
sein          -                  -
"""

# Infinitive, third person, past ("-": only the present is used); how English negates it, its base,
# third person and past; what stands before the English infinitive.
_MODALS = """
können    kann    konnte  aux  can    can     could   -
müssen    muss    musste  do   have   has     had     to
wollen    will    wollte  do   want   wants   wanted  to
dürfen    darf    durfte  be   be     is      was     allowed to
sollen    soll    -       aux  should  should  -       -
möchten   möchte  -       aux  would  would   -       like to
"""


def _third(base: str) -> str:
    """Return the third person singular of an English verb."""
    if base == "have":
        return "has"
    if base.endswith(("s", "sh", "ch", "x", "o")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


def _cells(line: str) -> list[str]:
    """Return the columns of a row, with "" for "-"."""
    return ["" if cell == "-" else cell for cell in re.split(r"\s{2,}", line)]


def _verb(forms: str, use: str) -> Verb:
    german, third, perfect, english = _cells(forms)
    infinitive, subject, objects, *rest = _cells(use)
    prefix, stem = german.split("|") if "|" in german else ("", german)
    if prefix + stem != infinitive:
        raise ValueError(f"_FORMS has {german} where _USES has {infinitive}")
    auxiliary, participle = perfect.split()
    base, past, ing, *particle = english.split()
    marks = " ".join(rest).split()
    return Verb(
        german=stem,
        prefix=prefix,
        third=third,
        participle=participle,
        auxiliary={"hat": "haben", "ist": "sein"}[auxiliary],
        preterite="".join(mark[5:] for mark in marks if mark.startswith("pret:")),
        english=base,
        english_third=_third(base),
        english_past=past,
        english_ing=ing,
        particle=" ".join(particle),
        movable="movable" in marks,
        stative="state" in marks,
        subject=tuple(subject.split()),
        object=tuple(objects.split()),
        indirect="to" in marks,
        case="dat" if "dat" in marks else "acc",
        places=tuple(mark.lstrip("@!") for mark in marks if mark.startswith("@")),
        needs_place=any(mark.startswith("@!") for mark in marks),
        moods=_moods(marks),
        modals=_modals(marks),
        clausal="clause" in marks,
    )


def _modals(marks: list[str]) -> tuple[str, ...]:
    """Return the modal verbs that the marks of a verb allow."""
    if "never" in marks:
        return ()
    if "can" in marks:
        return ("können",)
    return tuple(modal for modal in MODALS if modal != "dürfen" or "duty" not in marks)


def _moods(marks: list[str]) -> tuple[str, ...]:
    """Return the moods of clauses that the marks of a verb allow."""
    if "now" in marks:
        return ("present",)
    moods = ["past"] if "done" in marks else ["present", "past"]
    if "never" not in marks:
        moods.append("modal")
    if {"once", "state", "done"}.isdisjoint(marks):
        moods.append("habit")
    return tuple(moods)


def _modal(line: str) -> Modal:
    german, third, preterite, support, english, english_third, english_past, rest = _cells(line)
    return Modal(
        german=german,
        third=third,
        preterite=preterite,
        support=cast(Support, support),
        english=english,
        english_third=english_third,
        english_past=english_past,
        rest=rest,
    )


MODALS = {modal.german: modal for modal in map(_modal, _MODALS.strip().splitlines())}
_ROWS = zip(_FORMS.strip().splitlines(), _USES.strip().splitlines(), strict=True)
VERBS = {verb.infinitive: verb for verb in itertools.starmap(_verb, _ROWS)}
