"""Owns the names of languages in seven languages, which of those that a wish names is to be written, and which it is itself written in.

Invariant: a language that is only read (“our German mails, answered in English”) is never taken for the one that is written.
"""

from __future__ import annotations

import re

# How a language is called in English, German, French, Spanish, Italian, Dutch and Portuguese, and how people often misspell it.
CALLED: dict[str, str] = {
    "English": r"engl?[iu]?sh|englisch|anglais|ingl[eéê]s|inglese|engels|inglesi",
    "German": r"german|germen|grman|deu?tsch|hochdeutsch|allemande?|alem[aáãâ]n|alemão|tedesc(?:o|a|hi|he)|duitse?",
    "French": r"french|frensh|franz[öo]sisch|franzoesisch|français|francais|franc[eéê]s|francese|franse?",
    "Spanish": r"spanish|spansh|spanisch|espagnole?|español|espanol|espanhol|castellano|castilian|spagnol[oai]|spaanse?",
    "Italian": r"italian[oaei]?|italienn?e?|italienisch|italiaanse?",
    "Portuguese": r"portuguese|portugese|portugiesisch|portugais|portugu[eéê]s|portoghese|portugees|brazilian|brasilianisch",
    "Dutch": r"dutch|niederländisch|holländisch|néerlandaise?|neerlandais|neerland[eéê]s|holand[eéê]s|olandese|nederlandse?|flemish|vlaams",
    "Polish": r"polish|polnisch|polonaise?|polaco|polacco|polski|poolse?|polon[eéê]s",
    "Turkish": r"turkish|türkisch|turque?|turco|turca|türkçe|turkse?",
    "Russian": r"russian|russisch|russe|ruso|russo|rusa|russa",
    "Ukrainian": r"ukrainian|ukrainisch|ukrainien(?:ne)?|ucranian[oa]|ucraino|ucraina|oekraïens",
    "Arabic": r"arabic|arabisch|arabe|árabe|arabo|arabe",
    "Hindi": r"hindi",
    "Urdu": r"urdu",
    "Bengali": r"bengali",
    "Tamil": r"tamil",
    "Punjabi": r"punjabi",
    "Chinese": r"chinese|chinesisch|chinoise?|chino|china(?=\s*$)|cinese|chinees|chin[eê]s|mandarin|cantonese",
    "Japanese": r"japanese|japanisch|japonaise?|japon[eéê]s|giapponese|japanse?",
    "Korean": r"korean|koreanisch|coréen(?:ne)?|coreano|koreaans",
    "Vietnamese": r"vietnamese|vietnamesisch|vietnamien(?:ne)?|vietnamita",
    "Swedish": r"swedish|schwedisch|suédoise?|sueco|svedese|zweeds|svenska",
    "Danish": r"danish|dänisch|danoise?|danés|danese|deens|dansk",
    "Norwegian": r"norwegian|norwegisch|norvégien(?:ne)?|noruego|norvegese|noors|norueguês|norsk",
    "Finnish": r"finnish|finnisch|finnoise?|finlandés|finés|finlandese|fins|finlandês|suomi",
    "Czech": r"czech|tschechisch|tchèque|checo|ceco|tsjechisch|tcheco",
    "Slovak": r"slovak|slowakisch|slovaque|eslovaco",
    "Greek": r"greek|griechisch|grecque|grec|griego|greco|grieks|grego",
    "Hebrew": r"hebrew|hebräisch|hébreu|hebreo|ebraico|hebreeuws|hebraico",
    "Latin": r"latin|latein|lateinisch|latín|latino(?=\s)|latijn|latim",
    "Romanian": r"romanian|rumänisch|roumaine?|rumano|rumeno|roemeens|romeno",
    "Hungarian": r"hungarian|ungarisch|hongroise?|húngaro|ungherese|hongaars",
    "Thai": r"thai|thailändisch|thaï|tailandés",
    "Bulgarian": r"bulgarian|bulgarisch|bulgare|búlgaro|bulgaro|bulgaars",
    "Serbian": r"serbian|serbisch|serbe|serbio|serbo",
    "Croatian": r"croatian|kroatisch|croate|croata",
    "Slovenian": r"slovenian|slovene|slowenisch|slovène",
    "Albanian": r"albanian|albanisch|albanais|albanés|albanese",
    "Lithuanian": r"lithuanian|litauisch|lituanien",
    "Latvian": r"latvian|lettisch|letton",
    "Estonian": r"estonian|estnisch|estonien",
    "Icelandic": r"icelandic|isländisch|islandais|islandés",
    "Indonesian": r"indonesian|indonesisch|indonésien|indonesio|indonesiano",
    "Malay": r"malay|malaiisch",
    "Tagalog": r"tagalog|filipino",
    "Swahili": r"swahili|suaheli|kiswahili",
    "Somali": r"somali",
    "Amharic": r"amharic|amharisch",
    "Tigrinya": r"tigrinya",
    "Persian": r"persian|farsi|persisch|persan|persa|persiano|perzisch|dari",
    "Kurdish": r"kurdish|kurdisch|kurde|kurdo",
    "Pashto": r"pashto|paschtu",
    "Catalan": r"catalan|katalanisch|catalán|catalano|català|catalão|catalaans",
    "Basque": r"basque|baskisch|euskera|euskara|vasco|basco",
    "Galician": r"galician|gallego|galego",
    "Welsh": r"welsh|walisisch|gallois|galés",
    "Irish": r"irish gaelic|irish|gaelic|irisch",
    "Breton": r"breton|bretonisch",
    "Afrikaans": r"afrikaans",
    "Zulu": r"zulu",
    "Yiddish": r"yiddish|jiddisch",
    "Esperanto": r"esperanto",
    "Georgian": r"georgian|georgisch",
    "Armenian": r"armenian|armenisch|arménien",
}
ENDING = r"(?:e[nmrs]?|as?|os|es|s)?"
_ALL = "|".join(f"(?P<{name}>{words})" for name, words in CALLED.items())
NAMED = re.compile(rf"\b(?:{_ALL}){ENDING}\b")
QUALITY = (
    r"(?:plain |simple |modern |easy |good |today's |proper |high |standard |british |american |brazilian |einfaches? |"
    r"heutiges |modernes? )?"
)
# What stands before a language that is written.
INTO = (
    r"(?:\bin|into|to|as|auf|ins?|im|nach|en|vers|vers l[ea]|vers l'|au|à l'|al|all'|in het|naar|naar het|em|no|para|para o|pro|→|->|"
    r"speaks?|talks?|only|just|write|writes|spricht|redet|nur|parle|parler|parla|parli|parler en|habla|hable|fala|fale|spreekt|solo|"
    r"seulement|"
    r"aus \w+ (?:wird|mach)|(?:that|this|it) (?:is|be)|gives?)"
)
# What stands before a language that is read: “from German”, “the mails are in German”, “people write in German”.
OUT_OF = r"(?:from|from the|out of|aus dem|vom|von|du|de l'|del|dal|dall'|uit het|van|van het|do)"
THEIRS = (
    r"(?:(?<!answers )(?<!replies )(?<!all )"
    r"\b(?:is|are|exists?|comes?|came|arrives?|sent|written|messages|sind|kommen|sont|están) (?:(?!out\b)\w+ )?(?:in|auf|en)|"
    r"\bwrote (?:\w+ )?in|\bwrites? to (?:me|us) in|\b(?:have|has) (?:it|them|this|that) in|"
    r"\b(?:i|we|they|people|who|he|she|users|guests|customers|clients|let them|everybody|colleagues) (?:\w+ )?"
    r"(?:says?|asks?|writes?|wrote|describes?|types?|gets?|tells?|reads?)(?: \w+){0,2}(?: in)?|\b(?:i|we) speak|"
    r"\b(?:ich|wir|die \w+|sie) (?:\w+ )?(?:sage|sagen|schreibe|schreiben|beschreibe|spreche|frage|fragen)(?: \w+)? (?:auf|in)|"
    r"\bje (?:dis|décris|parle|demande)(?: \w+)?(?: en)?|\byo (?:digo|escribo|describo)(?: \w+)?(?: en)?|\blearn(?:ing)?|\bteach(?:ing)?)"
)
LINK = r"\s*(?:-|–|→|->|>|/|to|into|in|nach|ins|auf|a|al|à|au|vers|vers l[ea]|en|naar|naar het|para|para o)?\s*(?:l')?" + QUALITY
READS = ("sort", "extract")  # kinds where a language is that of the texts it gets
# Kinds where a language as an adjective belongs to what is made: “Spanish love songs”, “a Dutch version”.
MADE = ("write", "translate", "code")
# What stands before a language that belongs to a thing: “our German manuals”, “slogans for a Greek restaurant”.
THING = (
    r"(?:\b(?:our|my|the|these|unsere|nos|nuestr[ao]s)|"
    r"(?:for|about|to|of|at|für|über|pour|para|sobre)(?: (?:our|my|the|an?|unser\w*|notre|nuestr[ao]))?)"
)
# Words, letters and endings that tell which language a wish is itself written in.
TYPICAL = {
    "German": (
        r"\b(?:und|oder|nicht|eine?[nmrs]?|der|die|das|den|dem|des|für|auf|aus|mit|von|zu|wie|ist|unser\w*|soll|nach|bitte|im|ob|ins?|"
        r"zusammen|mein\w*|kurze?\w?|antworte\w*|schreib\w*|fasse?|sortiere?n?|\w+(?:ung|ungen|lich|lichen|ieren|schaft))\b|[äß]|\w[öü]\w"
    ),
    "French": (
        r"\b(?:le|la|les|des|une?|du|et|ou|pour|avec|nos|notre|dans|qui|que|aux?|est|mes|mon|ma|sur|en|de|comme|par|\w+(?:eux|aux|trier|ment))"
        r"\b|\b[ldcqs]'|[èêàœç]"
    ),
    "Spanish": (
        r"\b(?:el|la|los|las|unos?|una|y|o|para|con|nuestr[ao]s?|que|del?|al|mis?|por|se|es|en|como|lo|\w+(?:ción|ciones|dad))\b|[ñ¿¡]"
    ),
    "Italian": (
        r"\b(?:il|lo|la|gli|le|i|un[ao]?|e|o|per|con|nostr[oiae]|che|del\w*|nel\w*|dal\w*|di|sono|al\w*|in|\w+(?:zione|zioni|re))\b|[ìò]"
    ),
    "Dutch": r"\b(?:de|het|een|en|of|voor|met|onze|van|naar|uit|die|dat|is|niet|op|zoals|te|waar|in|\w*(?:ij|aa|uu)\w*)\b",
    "Portuguese": (
        r"\b(?:o|a|os|as|um|uma|e|ou|para|com|noss[oa]s?|que|d[oa]s?|n[oa]s?|em|de|meus?|minhas?|não|por|ao|\w+(?:ção|ções|dade))\b|[ãõ]"
    ),
    "English": (
        r"\b(?:the|an?|and|or|to|of|for|in|with|our|my|that|it|is|from|like|i|who|me|what|on|at|as|not|are|into|about|by|their|"
        r"write|\w+(?:ing|ed|tion|ly|ies))\b"
    ),
}
# What stands after a language that is read, and after one that is written.
IN = r" in\b(?! \w+ (?:please|bitte))\s*(?:,|$|;|and)| rein\b"
OUT = (
    r" (?:comes? )?out\b| raus\b|"
    r"\s+(?:\w+ )?(?:version|translation|subtitles?|summar|abstract|overview|digest|résumé|answers?|repl(?:y|ies)|chat|"
    r"conversation|bot|fassung)"
)


def languages(said: str) -> list[re.Match[str]]:
    """Where languages are named. “polish my texts” names none."""
    found = list(NAMED.finditer(said))
    return [one for one in found if one[0] != "polish" or not _verb(said, one)]


def _verb(said: str, one: re.Match[str]) -> bool:
    return not one.start() or bool(re.match(r" (my|our|the|your|this|these|up|it|a|what)\b", said[one.end() :]))


def without(said: str, word: str) -> str:
    """The same wish with one word for any language: which it is tells nothing about the task."""
    for one in reversed(languages(said)):
        said = f"{said[: one.start()]}{word}{said[one.end() :]}"
    return said


def language(said: str, task: str) -> str:
    """The English name of the language that a task shall write, or that its texts are in where it writes none; nothing if none is named."""
    plain = re.sub(r"(plain|simple|natural) english", "", said) if task == "code" else said  # the words of the wish, not of the answer
    found = languages(plain)
    if not found:
        return ""
    roles = [_role(plain, found, number) for number in range(len(found))]
    names = [one.lastgroup or "" for one in found]
    if task in READS:
        return names[0]
    into = [name for name, role in zip(names, roles, strict=True) if role == "writes"]
    if into:
        return into[-1]
    bare = [name for name, role in zip(names, roles, strict=True) if role == ""]
    return bare[-1] if bare and task in MADE else ""


def typed(said: str) -> str:
    """The language a wish is itself written in: nothing for English, where too few words tell, or where two languages share them."""
    telling = sorted(((len(re.findall(pattern, said)), name) for name, pattern in TYPICAL.items()), reverse=True)
    (most, name), (next_most, _) = telling[:2]
    return name if most >= 2 and most > next_most and name != "English" else ""


def _role(said: str, found: list[re.Match[str]], number: int) -> str:
    one = found[number]
    before, after = said[: one.start()], said[one.end() :]
    follower = found[number + 1] if number + 1 < len(found) else None
    between = said[one.end() : follower.start()] if follower else ""
    reads = (between.strip() and re.fullmatch(LINK, between)) or re.match(IN, after)  # “German to English”; “German in, English out”
    if not reads and re.match(OUT, after):
        return "writes"
    if reads or re.search(rf"(?:^|[^\w])(?:{THEIRS} |{OUT_OF}\s?){QUALITY}$", before):
        return "reads"
    if re.search(rf"(?:^|[^\w]){INTO}\s?{QUALITY}$", before):
        return "writes"
    return "reads" if re.search(rf"(?:^|[^\w]){THING} $", before) and re.match(r" \w", after) else ""
