"""What a question is about: matching by patterns, the same answer for the same words. No model.

Invariant: a question that fits nothing is said to be about nothing; none is guessed at.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import Literal, NamedTuple, cast

from advisor.tasks import PicturePlan
from advisor.text import TextPlan
from advisor.words.glossary import NAMES

Topic = Literal[
    "term",
    "setting",
    "level",
    "stopped",
    "better",
    "overfit",
    "time_left",
    "time",
    "changed",
    "evidence",
    "memory",
    "curve",
    "data",
    "speed",
    "resume",
    "use",
    "next",
    "state",
    "who",
    "story",
    "number",
    "mark",
    "doubt",
    "where",
    "bigger",
    "bad_answers",
    "longer",
    "good_enough",
    "half_right",
    "seen_test",
    "rate",
    "more_data",
    "unknown",
]

MAX_LETTERS = 400  # characters of a question that are looked at
MIN_LIKENESS = 0.84  # likeness from which a word of training is taken for one that is misspelt


class Question(NamedTuple):
    """What a question is about; `detail` is the term or setting, `number` one that was named in it."""

    topic: Topic
    detail: str = ""
    number: float | None = None


# A question for each topic that an answer can be given on without knowing a word or a number: what may be offered instead of another
QUESTIONS: dict[Topic, str] = {
    "stopped": "Why did it stop?",
    "better": "Did it get better?",
    "next": "What should I do next?",
    "level": "Is the loss good?",
    "overfit": "Does it learn the examples by heart?",
    "time": "How long did it take?",
    "time_left": "How much longer does it take?",
    "changed": "What was changed while it ran?",
    "evidence": "How do you know?",
    "memory": "How much memory did it use?",
    "curve": "Why does the loss go up and down?",
    "data": "How many examples did it learn from?",
    "speed": "How fast is it?",
    "resume": "Can I resume it?",
    "use": "How do I use it now?",
    "state": "Is it still running?",
    "story": "What is the whole story of this run?",
    "doubt": "Why is it not sure yet?",
    "where": "Can I use it on my phone?",
    "bigger": "Should I use a larger model?",
    "bad_answers": "Why are the answers nonsense?",
    "mark": "What do the marks on the chart mean?",
}
# What is worth asking, by the state of the run
CHIPS: dict[str, tuple[str, ...]] = {
    "": ("What do I need to begin?", "How many examples do I need?", "Which model should I use?", "Does anything leave this computer?"),
    "going on": ("How is it going?", "How much longer does it take?", "Is anything wrong?", "What was changed while it ran?"),
    "broken": ("Why did it stop?", "What should I do next?", "Can I resume it?", "What was changed while it ran?"),
    "finished": ("Did it get better?", "How do I use it now?", "What should I do next?", "Tell me the whole story"),
}


def chips(state: str) -> tuple[str, ...]:
    """Questions that fit the state of a run; without one, those that people ask at the beginning."""
    kind = {"": "", "waiting": "going on", "running": "going on", "finished": "finished"}.get(state, "broken")
    return CHIPS[kind]


# The first that fits wins: from the narrow to the wide. An indented line goes on with the one before.
_ASKED = r"""
rate: \b(which|what|welche[rs]?|wie gro(ß|ss)|how big|how large|how high)\b.*\b(learning rate|lr|rate|steps? size|lernrate|
    steps be)\b.*\b(should|be|
    better|use|good|take|recommend|soll|nehmen|richtig|best|right)|\b(should|would|better|good|right|best)\b.*\b(learning rate|lr|
    step size)\b
rate: ^(?!.*learning rate of \d)(?!why did).*\b(learning rate|lr|step size|lernrate|the rate)\b.*\b(too|right|wrong|problem|fault|cause|
    high|low|smaller|larger|bigger|lower|
    higher|zu|
    richtig|falsch|ändern|aendern|schuld)|^(?!why did).*\b(lower|raise|reduce|increase|change|wrong|ändern|senken|
    erhöhen)\b.*\b(learning rate|lr|
    rate|lernrate)\b
rate: \b(would|should|wäre) (\d\S*|1e-?\d+) .*\bbetter|^is (the )?rate\b
seen_test: \b(seen|knew?|known?|kennt|kannte|gesehen|memori[sz]ed|copied|copy|copies|overlap|learned from|same)\b.*\b(test|tests|
    test ?(set|
    questions|answers|examples|fragen|data)|testfragen|questions)\b
seen_test: \b(test|tests|test ?(set|questions|answers|examples|data)|testfragen|tested?|getestet)\b.*\b(seen|knew|known|copies|copied|
    overlap|
    fair|new|neuen?|honest|leak\w*|training|learned|real|before|gesehen)\b
seen_test: \b(cheat\w*|leak(ed|age|s)?|geschummelt|schummel\w*|just (copy|copied)|contaminat\w*|overlap)\b
more_data: \b(more|add|additional|enough|few|fewer|better|good|mehr|genug|weitere|zu wenige?)\b (\w+ )?(examples?|data|rows|samples|
    beispiele|daten)
    \b(?!.*\b(per|at once)\b)
more_data: \b(examples?|data|rows|beispiele|daten)\b.*\b(enough|too few|good enough|reichen|genug|zu wenig)
half_right: \b(half|some|many|few|every second|every other|only \d+ ?%?|\d+ ?%|manche|viele|nur|hälfte|oft)\b.*\b(right|wrong|correct|
    richtig|
    falsch|errors?|mistakes?|fehler|only|daneben|stimm\w+)
half_right: ^(?!.*\b(went|goes|go|is|was|anything|something) wrong).*\b(why|what|which|how come|warum|wieso|was|welche)\b.*\b(wrong|
    mistakes?|errors does|incorrect|inaccurate|not (all|more)|
    isn'?t it more|
    accura\w*|right only|only right|sometimes|fehler|falsch|daneben|richtig)\b(?!.*\bgo wrong)
longer: ^(?!how much).*\b(longer|more (training|rounds|epochs|updates|steps|time|passes)|train (it )?(again|more|further)|keep (going|
    training)|
    kept (going|
    training)|too (short|early|soon)|(too|zu) (little|kurz|wenig) (training|trained)?|long enough|twice as long)\b
longer: \b(few|couple of|some) more (times|rounds|epochs|passes)|\btrained it too little|\b(continue|
    go on with) (the )?training\b(?!.*\b(how|where)\b)
longer: \b\d+ (epochs|rounds|updates) (give|better|bring|help)|\b(länger|laenger|weiter) (zu )?trainier|\bmehr (runden|epochen|
    training)|\bzu kurz\b
longer: \b(noch )?(ein paar |weitere |mehr )(runden|epochen)|\blänger (laufen|lernen)|\blaenger\b
bigger: \b(bigger|larger|stronger|smarter|big|7b|13b|8b|3b) ?(base )?(model|one)\b|\bmodel('s)? (fault|too small)|\bthe model'?s fault\b|
    \bdoes size matter\b|\bwrong model\b|\b(gr(ö|oe)(ß|ss)ere[sn]?|anderes|stärkeres) modell\b
bigger: \b(would|is|will) (qwen|llama|gemma|phi|mistral|smollm|gpt)\b
bad_answers: \b(nonsense|gibberish|rubbish|garbage|babbl\w*|random (letters|words)|strange words|stupid things|talking|makes? no sense|
    make no sense|
    same thing|same sentence|over and over|repeats? (it|the)|unsinn|quatsch|komisch\w*|immer (das|dasselbe|das gleiche)|won'?t stop)\b
good_enough: ^(?!how (do|can|to)).*\b(good enough|any (use|good)|usable|ready|rely on|depend on|trust (it|its|the)|reliable|happy with|
    put (this|it) (on|
    into)|give (this|it) to|
    use (it|this) (at|for|in|now)|well enough|embarrass\w*|production|am i done|fit for)\b
good_enough: \b(gut genug|brauchbar|taugt|verlassen|reicht (das|es)|verwenden|einsetzen|fertig für)\b
"""
_PATTERNS = r"""
number: ^what (does|is|do|are|stands?) (the |this |that )?(number )?-?\d[\d.,]* ?%?( mean| means| stand for| say| here)*$
mark: \b(triangles?|diamonds?|marks? on|dashed|dotted|(orange|purple|gr[ae]y|blue|teal|green|red) (triangle|diamond|line|dot|mark|
    thing))\b
doubt: \b(why|what|how come)\b.*\b(cannot tell|can'?t tell|can not tell|too early|not sure|no difference|no proof|not usable|you decide|
    not tell)\b
where: \b(phones?|handy|i ?phones?|android|tablets?|web ?sites?|another computer|other computers?|raspberry)\b
bigger: \b(bigger|larger|stronger|smarter|another|other|different|which|gr(ö|oe)(ß|ss)eres?) (base |language )?model|\btoo small\b
bad_answers: \b(nonsense|gibberish|rubbish|garbage|crap|makes? no sense|silly|stupid|unsinn|quatsch|wrong answers?|bad answers?)\b
who: \b(who|what) are you\b|\bare you (an? )?(ai|robot|bot|human|model)\b|\bdid (an? )?(ai|model) write\b
level: \bis (a |an |the |my |it |this )*(\w+ ){0,4}(of )?\d[\d.,]*\s*(%|percent|per cent)?\s*(as a \w+ )?(still |too |very |really |
    a )*(good|bad|ok|okay|fine|high|low|normal|enough|great|alright|poor|terrible|big|small|much)
level: \b(how )?(good|bad|ok|okay|normal|high|low) (is|are) (a |an |the |my )*(\w+ ){0,3}(of )?\d
level: \d[\d.,]*\s*(%|percent)?\s*(loss|accuracy)?,? (is that|is this|is it|that|good or bad)\b
level: \b(is|are) (the|my|this|that|its) ?([\w-]+ )?(loss|losses|accuracy|result|score|number)s? (good|bad|ok|okay|fine|high|low|
    normal|too)
level: \bwhat('?s| is| counts as| would be) (a )?(good|normal|bad|typical) (\w+ )?(loss|accuracy|score)
overfit: \bover-? ?fit|\bmemoris|\bmemoriz|\bby heart|\blearn(t|ed|ing)? (it|them|the examples) by\b|\btoo (many|long) (epochs|rounds)
time_left: \btime (is )?left\b|\bhow much longer|\bhow long (will|until|till|to go|does it still|is left|more|before)
time_left: \bwhen (will|is|does) it (be )?(done|finish|ready|over|end|complete)|\beta\b|\bremaining\b|\balmost (done|finished|ready)
speed: \b(so|too|very|how|this|that) (slow|fast)\b|\b(faster|slower|speed|quicker)\b|\btokens (per|a) second
time: \bhow long\b|\bhow much time|\bhow many (minutes|hours|seconds)|\bduration\b|\bwhen did it (start|end|finish)
resume: \b(resume|continue|go on|carry on|restart|pick up)\b|\b(lost|lose) (anything|everything|my|all|it|data|work|progress)
resume: \bis (it|anything|everything|my work) (lost|gone|saved)\b|\bstart (it )?(all )?(over|again)
changed: \bwhat (did|have|has) (you|it|the (app|run|advisor|program)) (change|do|adjust|repair|fix)
changed: \b(was|were|been|got|anything|settings?) (changed|adjusted|repaired|fixed)|\bwhat changed
changed: \bdid (you|it) (change|adjust|repair|fix)|\bwhy did (you|it) (change|lower|raise|reduce)
evidence: \bhow (do|can|could|did) (you|it|we|i) (know|tell|be sure)|\bare you (sure|certain)|\b(evidence|proof|prove)\b
evidence: \bhow (sure|certain|confident)|\bwhy do you (think|say|believe)|\btrust\b
memory: \b(memory|vram|ram|oom)\b
stopped: \bwhy\b.*\b(stop|stopp|end|fail|crash|abort|quit|die|died|kill|break|broke|halt|finish|interrupt|cancel)\w*
stopped: \bwhat (went|is|was|s) wrong|\bwhat('?s| is| was)? (happened|the (problem|matter|error|cause|issue|reason))
stopped: \bwhy (did|does|didn.?t|doesn.?t|wouldn.?t|won.?t|is) (it|this|that|my (run|training|model)) (not )?(work|finish|learn|
    go wrong|start|red|failed)
stopped: \bwhat (caused|is the cause|made it)|\b(error|crash) mean|\bwhy .*\b(error|failure|problem)\b
stopped: \b(is|was) there (an?|any) (problem|error)s?|\b(any|anything) wrong
curve: \b(loss|curve|line|graph|chart)\b.*\b(up|rise|rising|rose|spike|spikes|jump|jumps|jumping|increase|increasing|zigzag|flat|
    noisy|bumpy|nan|weird|strange|down|falling|stuck|wobbl\w+)
curve: \b(spike|spikes|bump|bumps|peak in)\b|\bnan\b
data: \b(how many|number of) (examples|rows|samples|lines|data)
data: \b(enough|too few|too little|more|too many|my|the|bad|good) (data|examples|rows|samples)\b|\b(data ?set|dataset)\b|\bduplicate
next: \bwhat (should|shall|can|could|must|do|would|now|next)\b.*\b(do|try|change|next|now|improve|better)\b|\bwhat (now|next)\b
next: \bhow (do|can|could|should|to) (i |we |you )?(fix|improve|solve|repair|make|get|prevent|avoid|help|better)|\bnext step
next: \bwhat do you (suggest|recommend|advise)|\bany (advice|tips|ideas|suggestions)|\bhelp me\b|\brecommend|\bshould i\b
use: \bhow (do|can|to|could|would) (i |we )?(use|try|download|share|export|install|run|chat|talk|test|save|take)\b
use: \b(ollama|lm ?studio|hugging ?face|export|chat with)\b|\bwhere (is|are|can i find|do i find) (my|the|it)\b
better: \b(better|worse|improv\w*|success\w*|worth it)\b
better: \bdid (it|the model|this|that|my model|my run|the training|the run|we|i) (learn|work|help|succeed|do well|go well|get)
better: \bhas it learn
better: \b(was|is) (it|this|that|the (run|training|model|result)) (any )?(good|successful|useful|a success|ok|okay|well|worth)
better: \bhow (good|well)\b|\bhow did (it|that|the run|the training|my run) go|\bresult\b|\bresults\b|\bverdict\b|\baccuracy\b
better: \blearn anything
story: \b(tell me|story|summar|explain) ?(the|this|me|my|it|what)?.*\b(run|story|happened|all|everything|summary|summari\w+|training|
    it|about)\b
story: \bsummary\b|\boverview\b
state: \b(is it|are you|still) (still )?(running|going|working|training|done|finished|ready|stuck|over|frozen|alive)
state: \bwhere (is it|are we)|\bstatus\b|\bprogress\b|\bhow far
"""
# The most common questions in German; the answers are in English
_GERMAN = r"""
term: \bwas (ist|sind|bedeutet|hei(ß|ss)t) (eine?|die|der|das)? ?(lernrate|verlust|epoche|runde|adapter|beispiele|rang|speicher)\b
use: \bwie (benutze|nutze|verwende|bekomme|exportiere) ich
speed: \b(schneller|langsam)\b
resume: \b(fortsetzen|weitermachen|weiterlaufen)\b
state: \bl(ä|ae)uft (es|das|sie) noch|\bwie l(ä|ae)uft
overfit: \bauswendig\b|\b(ü|ue)beranpass
level: \bist .*\d[\d.,]* ?%? (noch |zu |sehr )*(gut|schlecht|ok|okay|normal|hoch|niedrig|viel|wenig)
time_left: \bwie lange (noch|dauert)|\bwann (ist|wird) (es|sie|das)( \w+)? fertig
time: \bwie lange\b|\bwie viele? (zeit|minuten|stunden|sekunden)
stopped: \b(warum|wieso|weshalb)\b.*(aufgeh(ö|oe)r|gestoppt|abgebrochen|geendet|beendet|abgest(ü|ue)rz|fehlgeschlag|gescheit)
stopped: \bwas (ist|war|lief|ging) .*(falsch|schief|passiert|los|fehler|problem)
next: \bwas (soll|kann|muss) ich\b|\bwie (kann|soll) ich .*(besser|beheben|verbessern|(ä|ae)ndern)
better: \b(ist|wurde|war) (es|sie|er|das modell|das training)( \w+)? (besser|gut|erfolgreich)|\bhat (es|sie|er) .*gelernt
memory: \b(arbeits|grafik)?speicher\b
changed: \bwas wurde ge(ä|ae)ndert
data: \bwie viele beispiele
story: \berz(ä|ae)hl|\bzusammenfassung
"""


def _compiled(patterns: str) -> list[tuple[Topic, re.Pattern[str]]]:
    lines = [line.partition(": ") for line in patterns.strip().replace("\n    ", "").splitlines()]
    return [(cast(Topic, topic), re.compile(pattern)) for topic, _, pattern in lines]


_COMPILED = tuple(_compiled(_ASKED + _PATTERNS.lstrip() + _GERMAN.lstrip()))
_DEFINES = re.compile(
    r"^(?:so |and |please |can you |could you |hey |hi |ok |okay )*(?:what(?: is| are| does|'?s| do)|whats|define|"
    r"explain|meaning of|what is meant by|tell me what|i don'?t understand|what the hell is)\s+(?:is |are |the word |"
    r"the term |you mean by |a |an |the |my |this |that |by )*(.+?)(?:\s+(?:is|are|mean|means|do|does|here|for|good "
    r"for|about))*$"
)
_DEFINES_IN_GERMAN = re.compile(
    r"^was (?:ist|sind|bedeutet|hei(?:ß|ss)t)(?: denn| eigentlich)?(?: eine?[nmrs]?| die| der| das| den| dieser?| dieses)?"
    r"(?: wort)? ([\w -]+?)(?: hier)?$"
)
_OF_GERMAN = {  # a word on the screen or in people's mouths: its entry
    german: name
    for name, words in {
        "learning rate": "lernrate",
        "loss": "verlust",
        "epoch": "epoche epochen runde runden durchgang",
        "adapter": "adapter",
        "held-out examples": "beispiele testbeispiele testdaten",
        "rank": "rang",
        "memory": "speicher arbeitsspeicher",
        "deployment": "bereitstellung bereitstellungen deployment",
        "link": "link verweis freigabe freigabelink",
        "gallery": "galerie galerien",
        "trust": "vertrauen",
        "groups": "gruppe gruppen gruppierung",
        "saliency": "salienz salienzkarte wärmebild aufmerksamkeitskarte",
        "recipe": "rezept rezepte",
        "pipeline": "pipeline ablauf fließband",
        "builder": "baukasten datenbauer builder",
        "writer": "schreiber schreibmodell",
        "gate": "prüfung prüfungen filter",
        "passage": "textstelle abschnitt beleg",
        "synthetic": "synthetisch augmentierung",
        "card": "modellkarte karte",
        "trial": "probelauf probeläufe pilot pilotlauf",
        "label": "etikett kategorie klasse klassen",
        "run": "lauf läufe durchlauf",
        "base model": "basismodell grundmodell",
        "checkpoint": "sicherung zwischenstand sicherungskopie",
        "overfitting": "überanpassung auswendiglernen",
        "batch size": "stapelgröße",
        "warm-up": "aufwärmen aufwärmphase",
        "control": "kontrolle kontrolllauf",
        "verdict": "urteil",
        "plan": "plan",
        "near copies": "duplikate fastkopien",
        "update": "schritt schritte aktualisierung",
        "fine-tuning": "feinabstimmung",
    }.items()
    for german in words.split()
}
_GERMAN_WORDS = re.compile(
    r"\b(was|wie|warum|wieso|weshalb|wann|wo|wer|ist|sind|das|der|die|den|dem|eine?|ich|es|sie|er|nicht|und|kann|soll|muss|hat|haben|wird|"
    r"wurde|meine?|mir|noch|zu|gut|schlecht|viele?|lange|hei(ß|ss)t|bedeutet|welche[sr]?|für|von|mit|auf|kannst|du|deutsch|bitte|mach|mache|dein|man)\b"
)
_ENGLISH_WORDS = re.compile(r"\b(what|how|why|the|is|are|my|it|its|does|did|can|should|i|this|that|of|to|and)\b")
_VALUE = re.compile(
    r"\b(?:what|which|how (?:many|much|big|large|high))\b.*\b(?:used?|was|were|set|chosen?|choose|had|have|did|take|took|run|its|my|this)\b"
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)?(?:e-?\d+)?")


def understand(question: str) -> Question:
    """What a question is about."""
    text = plain(question)
    number = _number(text)
    setting = _setting(text)
    if setting:
        return Question("setting", setting, number)
    term = _term(text)
    if term:
        return Question("term", term, number)
    for topic, pattern in _COMPILED:
        if found := pattern.search(text):
            if topic == "term":
                return Question("term", _OF_GERMAN.get(found.groups()[-1], "loss"), number)
            if topic == "rate":
                return Question(topic, "which" if re.match(r"(which|what|how|welche|wie)\b", text) else text, number)
            rated = "learning rate" if re.search(r"\blearning rate|\blr\b", text) else ""
            return Question(topic, text if topic == "mark" else rated, number)
    known = NAMES.get(text.strip())
    return Question("term", known, number) if known else Question("unknown", text, number)


def is_german(question: str) -> bool:
    """Whether a question is asked in German: it has German words, and none that only English has."""
    text = plain(question)
    return len(_GERMAN_WORDS.findall(text)) >= 2 and not _ENGLISH_WORDS.search(text)


def plain(question: str) -> str:
    """Lower case, straight quotes, single spaces, no mark at the end; cut where nobody asks any more."""
    text = unicodedata.normalize("NFKC", question[: 4 * MAX_LETTERS]).casefold()
    text = re.sub(r"[’‘`´]", "'", text)
    text = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"\s+", " ", text).strip(' ?!.,;:"“”')[:MAX_LETTERS]


def _number(text: str) -> float | None:
    found = _NUMBER.search(text)
    return float(found.group().replace(",", ".")) if found else None


def _term(text: str) -> str:
    """The word of training whose meaning is asked for; a misspelt one is understood."""
    if german := _DEFINES_IN_GERMAN.match(text):
        named = german.group(1)
        return _OF_GERMAN.get(named, NAMES.get(named, ""))
    found = _DEFINES.match(text)
    if not found:
        return ""
    word = found.group(1).strip(" '\"?")
    if word in NAMES:
        return NAMES[word]
    close = difflib.get_close_matches(word, NAMES, n=1, cutoff=MIN_LIKENESS)
    return NAMES[close[0]] if close and len(word) > 3 else ""


def _labels() -> dict[str, str]:
    """What the plan page calls its settings, and their own names, to the setting."""
    found: dict[str, str] = {"model": "base_model", "epochs": "epochs", "batch size": "effective_batch", "lr": "learning_rate"}
    for name, field in (*TextPlan.model_fields.items(), *PicturePlan.model_fields.items()):
        extra = field.json_schema_extra
        label = str(extra.get("label", "")) if isinstance(extra, dict) else ""
        found |= {key: name for key in (label.lower(), name.replace("_", " ")) if len(key) > 3}
    return found


_LABELS = _labels()
_NOT_ASKED_FOR = {"task", "title", "roles", "guessed", "parts", "dataset", "memory", "learn_from"}


def _setting(text: str) -> str:
    """The setting whose value in this run is asked for: “which learning rate was used”."""
    if not _VALUE.search(text) or re.search(r"\bwhy\b|\bmean|\bgood\b|\bbad\b|\bshould\b|\bbetter\b|\btime\b|\blong\b|\bchange", text):
        return ""
    named = [label for label in _LABELS if re.search(rf"\b{re.escape(label)}\b", text)]
    found = _LABELS[max(named, key=len)] if named else ""
    return "" if found in _NOT_ASKED_FOR else found
