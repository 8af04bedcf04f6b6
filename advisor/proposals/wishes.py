"""Owns what a person's wish means: “answer like our support team, in German, short” -> a kind of task, a language, a length, a pace.

Invariants: the same words always give the same wish; what was not said is not guessed (an empty string); nothing is read but the wish.
"""

from __future__ import annotations

import re
from typing import Literal

from advisor.proposals.tongues import language, typed
from advisor.proposals.wording import weights
from loralab.core.records import Record

Task = Literal["answer", "sort", "extract", "summarise", "translate", "code", "write"]
Chosen = Task | Literal[""]  # the kind that a person said it is, or nothing
Length = Literal["", "short", "long"]
Pace = Literal["", "quick", "best"]

# Facts that are looked for in texts: two of them in one wish are a list of what to find.
FACTS = (
    r"(?:names?|dates?|amounts?|totals?|prices?|address(?:es)?|phones?|numbers?|salar(?:y|ies)|skills|colou?rs?|sizes?|"
    r"units?|values|quantit\w+|doses?|dosages?|medic(?:ines?|ations?)|symptoms?|diagnos[ei]s|deadlines?|cit(?:y|ies)|"
    r"titles?|venues?|who, what|(?:people|names?) and (?:places|dates)|namen?|datum|betr(?:ag|äge)|"
    r"adressen?|\w*nummern?|noms?|montants?|adresses|nombres?|fechas?|importes?|tel[eé]fonos?)"
)
# What a person would want written; it counts more where the wish begins with it: “slogans for my shop” is a wish for slogans.
MADE = (
    r"(?:(?:\w+ )?posts?|newsletters?|slogans?|captions?|tweets|speeches|sermons?|jokes?|horoscopes?|blurbs?|ads|adverts?|ad texts?|"
    r"product (?:descriptions?|texts)|dialogues?|chapters?|scenes?|toasts?|\w+texte|beiträge|reden|briefe|lettres|cartas|"
    r"discours|discursos)"
)
MANNER = (
    r"(?:formal|informal|casual|polite|friendl\w+|plain|simpler?|easy|easier|everyday|normal|modern|proper|professional|academic|business)"
)
TONGUE = r"(?:english|german|french|spanish|italian|dutch|polish|latin|\w+ish|\w+ese)"

# What people call it, by kind of task: regular expressions over lower-case words. The weight tells how sure a word is.
SIGNS: dict[Task, tuple[tuple[str, float], ...]] = {
    "sort": (
        (r"classif\w*|categor\w*|kategor\w*|klassifi\w*|clasific\w*|classer\w*|einordne\w*|einteil\w*|zuordne\w*|triage\w*", 3),
        (r"tell\w* .*apart|distinguish\w*|unterscheid\w*|distingu\w*|moderat\w*|into (groups|classes|kinds|themes|piles)|belongs? to", 3),
        (
            (
                r"(?<!some )(?<!what )(?<!a )sort(s|ed|ing|ier\w*)?\b|label\w*|tag(s|ging|ged)?\b|rout(e|es|ing)\b|assign(s|ed|ing)?\b|"
                r"flag(s|ged|ging)?\b"
            ),
            2,
        ),
        (r"detect\w*|recogni[sz]e\w*|spot(s|ting)?\b|erkenn\w*|détect\w*|reconn\w*|reconoc\w*|trier\b|filter\w*|guess\w*|predict\w*", 2),
        (
            (
                r"spam|phishing|fake|fraud\w*|sentiment\w*|intent(s|ion)?\b|(by|the|which|what) topics?|urgen(t|cy)\w*|priorit\w*|"
                r"toxic\w*|hateful|hate speech|offensive|abus\w*|"
                r"positiv\w*|negativ\w*"
            ),
            2,
        ),
        (
            (
                r"(tell|say|decide|check|judge|know|see|find out)s? (me |us )?(if|whether|wether|whether|which|how \w+ (a|an|the|it))\b|"
                r"entscheide\w*|ob (ein|der|die)"
            ),
            2,
        ),
        (
            (
                r"yes (or|/) ?no|yes/no|true or false|right or wrong|good or bad|ja oder nein|oui ou non|(is|are) (it|this|that) .* or |"
                r"or not\b"
            ),
            2,
        ),
        (
            (
                r"grad(e|es|ing) (the |my |our |short |\w+ )?(essays?|papers?|answers?|tests?|exams?|texts?|homework)|"
                r"rat(e|es|ing) (how|the|my|our|them|it|each)"
            ),
            3,
        ),
        (
            (
                r"which (department|team|class|kind|category)|(from )?\w\d? ?(to|-) ?(5|6|10|100|f|c2)\b|on a scale|scores? (from|each)|"
                r"whether|par sujet|nach \w+ sortieren"
            ),
            2,
        ),
    ),
    "extract": (
        (
            (
                r"extract\w*|extrahier\w*|extrai\w*|extra(er|e|iga)\b|heraus(les|zieh|such|hol)\w*|auslesen|sacar|parse\w*|"
                r"pull (out )?(the|all)|pick out"
            ),
            3,
        ),
        (
            (
                r"json|structured|csv|key.?value|(in)?to (a |an )?(table|spreadsheet|list|fields|columns|excel)|"
                r"as (a |an )?(list|table)|als (liste|tabelle)"
            ),
            3,
        ),
        (
            (
                rf"\b{FACTS}\b.*\b{FACTS}\b|fill (in |out )?(a |the |our |my )?(\w+ )?forms?\b|"
                rf"(make|create|fill) a (table|spreadsheet|list)"
            ),
            3,
        ),
        (r"(give|get|need|want|read|find|return|note|write out)s?\b[^.?]*\w, [^.?]*\b(and|und|et|y)\b", 1.5),
        (
            (
                r"list (all|of|every|the)|find (all|every|each|the)|(only|just) (need|want) the|(need|want) (only|just)|fields?|"
                r"invoices?|receipts?|entities"
            ),
            2,
        ),
    ),
    "summarise": (
        (
            (
                r"summ?ar\w*|sum(s|ming)? up|tl;?dr|condens\w*|(key|main|important|essential) (points?|takeaways?|things|facts)|"
                r"boil\w* .*down|gist"
            ),
            3,
        ),
        (
            (
                r"zusammenfass\w*|fass\w* .*zusammen|résum\w*|resúm\w*|resum(ir|en|enes|iendo)\b|synthèse|kürzen|kürzer\w*|raccourc\w*|"
                r"acortar"
            ),
            3,
        ),
        (
            (
                r"shorten\w*|shorter|minutes (of|from)|(short )?abstracts? (of|for)|headlines?|overview|in a nutshell|abridge\w*|digest|"
                r"half (a )?page"
            ),
            2,
        ),
        (r"what .* (is|are|was) about|most important|transcripts?|bullet(s| points)", 1.5),
    ),
    "translate": (
        (r"translat\w*|übersetz\w*|tradui\w*|traduc\w*|(from|out of) \w+ (in)?to (\w+ )?" + TONGUE, 3),
        (
            (
                rf"(in)?to (\w+ )?{MANNER} (\w+ )?(language|words|english|speech|ones?|style|e?mails?|text)|into {TONGUE}\b|"
                rf"{TONGUE} (in)?to {TONGUE}\b"
            ),
            3,
        ),
        (rf"(make|turn|change|from) .*\b{MANNER}\b|understandable|easy.to.read|easier to|simplif\w*|verständlich\w*|vereinfach\w*", 2),
        (
            (
                r"rewrit\w*|rephras\w*|reword\w*|paraphras\w*|umschreib\w*|umformulier\w*|reformul\w*|"
                r"(plain|simple|einfache\w*|leichte\w*) (language|sprache)"
            ),
            2,
        ),
        (r"dialect\w*|dialekt\w*|subtitles?|jargon", 1.5),
    ),
    "code": (
        (
            (
                r"(\w+-)?code\b|coding|programming|python|java\w*|typescript|sql|"
                r"regex\w*|bash|shell (commands?|scripts?)|rust\b|c\+\+|c#|php|html|css|cobol|"
                r"matlab|latex|vba"
            ),
            5,
        ),
        (
            (
                r"macros?|excel formulas?|pull requests?|git(hub)?\b|commit messages?|unit tests?|docstrings?|"
                r"stack ?traces?|arduino|compiler|"
                r"autocomplet\w*"
            ),
            4,
        ),
        (
            (
                r"scripts?\b|program (a|an|little|small|simple)|programm?ier\w*|programmer|"
                r"functions?\b|database|abfragen?|api calls?|bugs?\b|refactor\w*|"
                r"completions"
            ),
            2,
        ),
    ),
    "write": (
        (
            (
                r"(write|sound|speak|talk|text|type)s? (just )?like|in (the|my|our|his|her) ([\w']+ )?(style|voice|tone|wording)|"
                r"style of|imitat\w*|mimic\w*"
            ),
            3,
        ),
        (
            (
                r"poe(ms?|ts?|try)\b|stor(y|ies)\b|novels?|lyrics|songs?|haikus?|sonnets?|fairy ?tales?|shakespeare|fan ?fiction|"
                r"fiction|screenplay|essays? about"
            ),
            3,
        ),
        (
            (
                r"gedicht\w*|geschichten?\b|märchen|liedtext\w*|poèmes?|histoires\b|contes?\b|chansons?|cuentos?|poes[ií]as?|"
                r"canciones|im stil"
            ),
            3,
        ),
        (rf"^((a|an|some|new|good|funny|short|long|kurze|lange|\w+ed|\w+y) )*{MADE}\b", 3),
        (
            (
                r"(write|writing|writes)\b(?! (out|down))|draft\w*|compos\w*|generat\w*|make up|come up with|invent\w*|create|"
                r"schreib\w*|verfass\w*"
            ),
            2,
        ),
        (r"écri(re|s|t|ve)\b|rédig\w*|escrib\w*|redact\w*|inventa\w*|(comme|como|wie) (moi|yo|ich)\b", 2),
        (rf"continu\w*|go(es)? on\b|carr(y|ies) on|weiterschreib\w*|writer\w*|blog|diary|like (my|our) \w+ \w+s\b|{MADE}\b", 1.5),
    ),
    "answer": (
        (
            (
                r"(?<!'s )answer\w*|repl(y|ies|ying)\b|respond\w*|chat\w*|assistant\w*|bot\b|(be)?antwort\w*|répon\w*|respuest\w*|"
                r"respond\w*|contest(a|e)\w*"
            ),
            2.5,
        ),
        (r"tutor\w*|teach\w*|explain\w*|advi[cs]e\w*|coach\w*|faq|help ?desk|erklär\w*|berat\w*|expli(qu|c)\w*|enseñ\w*", 2),
        (
            (
                r"(talk|speak)s? (to|with)|questions?|fragen?\b|preguntas?|conversation\w*|(keep|keeps) asking|asks?\b|knows?\b|"
                r"support (team|staff|bot)|guide\b|help(s|er)?\b"
            ),
            1.5,
        ),
        (r"customers?|support|kunden\w*|clients?|clientes?", 0.5),
    ),
}
MAKES: tuple[Task, ...] = ("answer", "write", "code")  # kinds whose “long” is about what they give, not about what they get
SHOWN = 3  # kinds that a person is asked about where it is not sure
FIRST = 1.5  # times: the kind of task that is named first is the one that is meant; what follows tells how

COUNT = (
    r"(one|two|three|four|five|six|\d{1,2}|[1-3]00|an?|a few|zwei|drei|vier|fünf|sechs|ein(en|em)?|deux|trois|quelques|dos|tres|"
    r"pocas|due|tre|poche|duas|três|poucas|twee|drie|één|een)"
)
PIECES = (
    r"(sentences?|words?|lines?|sätze?n?|satz|wort|wörtern?|worten|wörter|zeilen?|phrases?|mots|lignes?|frases?|palabras|líneas?|frasi|"
    r"parole|righe|palavras|linhas|zin|zinnen|woorden|regels)"
)
LETTER = r"(?<!im )(?<!dem )(?<!den )(?<!ein )(?<!einen )(?<!der )(?<!de )(?<!deze )(?<!een )"  # “Brief” is no word for short there
SHORT = (
    rf"\b(short|shortly|{LETTER}brief(ly)?(?! me\b)|concise\w*|terse|snappy|few words|kurze?[nrms]?|knapp\w*|courte?s?|brèves?|"
    rf"cort[oa]s?|breves?|brev[ei]|curt[oa]s?|korte?|nothing else|nothing more|in a (sentence|line|word)\b(?! (file|document))|"
    rf"(?<!at least )(?<!give )(?<!whether )(?<!from )(?<!de )(?<!understand ){COUNT}[ -]{PIECES}(?! (file|document))|"
    rf"not (longer|more) than|at most \d+|no (explanations?|talk|prose)|"
    rf"(only|just) (yes or no|a word|the (formula|command|query|code|regex))|nur (den|die|das) (befehl|formel|code)|sonst nichts|"
    rf"juste la (commande|formule)|sol[oa] la fórmula|single word|to a tweet)\b"
)
LONG = (
    r"\b(long|longer|lang|lange[nrs]?|largos?|larga?s|lungh[ie]|lung[oa]|long[ao]s|detailed|in (full )?(detail|depth)|in full|at length|"
    r"fully|extensive|thorough\w*|leave nothing out|pages and pages|(whole|several|many) (pages?|articles?|paragraphs?)|"
    r"\d{4,} words|essays?|ausführlich\w*|détaillé\w*|longs|longues?|detallad\w*|dettagliat\w*|detalhad\w*|uitgebreide?)\b"
)
# Where texts are shortened or read, it is they that are long.
INPUT = (
    r"\b(long|longer|lang|lange[nrs]?|largos?|larga?s|lungh[ie]|lung[oa]|long[ao]s|longs|longues?|short essays?|essays?|whole articles?)\b"
)
QUICK = r"\b(quickly|fast|in (a few|\w+) minutes|right now|just to try|try (it )?out|demo|test drive|schnell|vite|rápid\w*)\b"
BEST = r"\b(best|as good as possible|high(est)? quality|overnight|take your time|accura\w+|serious\w*|production)\b"


class Wish(Record):
    """What a person wants, as far as they said it."""

    text: str
    task: Task
    sure: bool = True  # False: read like this, it is wrong more often than one time in ten
    likely: tuple[Task, ...] = ()  # kinds it could be, likeliest first: more than one only where it is not sure
    language: str = ""  # English name of the language it shall write
    written: str = ""  # the language it is itself written in, where that is not English and its words tell: which models will do
    length: Length = ""
    pace: Pace = ""


def understand(text: str, task: Chosen = "") -> Wish:
    """The wish behind a sentence. `task`: the kind, where the person said which it is."""
    said = tidy(text)
    likely: tuple[Task, ...] = (task,) if task else _likely(said)
    best = likely[0]
    sized = said if best in MAKES else re.sub(INPUT, "", said)
    return Wish(
        text=text.strip(),
        task=best,
        sure=len(likely) == 1,
        likely=likely,
        language=language(said, best),
        written=typed(said),
        length="short" if re.search(SHORT, sized) else "long" if re.search(LONG, sized) else "",
        pace="quick" if re.search(QUICK, said) else "best" if re.search(BEST, said) else "",
    )


def tidy(text: str) -> str:
    """A wish as it is read: in lower case, with single blanks."""
    return re.sub(r"\s+", " ", text.lower()).strip()


def scores(said: str) -> list[float]:
    """Points of each kind in the table of signs; the one that is named first has more."""
    found = [_score(said, signs) for signs in SIGNS.values()]
    first = min((at for _, at in found if at >= 0), default=-1)
    return [weight * (FIRST if at == first else 1.0) for weight, at in found]


def _likely(said: str) -> tuple[Task, ...]:
    known = weights(len(SIGNS))
    shares = dict(zip(SIGNS, known.shares(said, scores(said)).tolist(), strict=True))
    ranked: list[Task] = sorted(SIGNS, key=lambda task: -shares[task])
    return tuple(ranked[: 1 if shares[ranked[0]] >= known.sure else SHOWN])


def _score(said: str, signs: tuple[tuple[str, float], ...]) -> tuple[float, int]:
    """Weight of all signs that are there, each counted once, and where the first of them is (-1: nowhere)."""
    found = [(weight, match.start()) for pattern, weight in signs if (match := re.search(rf"\b({pattern})", said))]
    return sum(weight for weight, _ in found), min((at for _, at in found), default=-1)
