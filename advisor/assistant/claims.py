"""Owns what a model may not claim, whatever it writes: other ways out than the vetted ones, causes the rules did not find, another verdict.

Invariant: a sentence passes only if each claim in it is one the rules made; in doubt it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from advisor.assistant.evidence import Pack, Row, tidy

_UP = re.compile(
    r"\b(increas\w*|rais\w*|higher|bigger|larger|boost\w*|greater|more|up|turn\w* up|crank\w*|multipl\w*|rise|double|"
    r"grow\w*|strong\w*|faster|lengthen\w*|longer|enlarg\w*|maximi[sz]\w*|amplif\w*|lift\w*|hik\w*)\b"
)
_DOWN = re.compile(
    r"\b(decreas\w*|lower\w*|reduc\w*|smaller|less|fewer|halv\w*|down|cut\w*|shrink\w*|shorten\w*|shorter|drop\w*|"
    r"minimi[sz]\w*|divid\w*|weak\w*|slower)\b"
)

_RATE = re.compile(r"\b(learning[ -]?rates?|lr|step[ -]?sizes?|corrections?)\b")

# What a sentence speaks of -> the plan's setting; a name without a setting is never among the vetted ways
_KNOBS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), setting)
    for pattern, setting in (
        (r"learning[ _-]?rates?|lr|step[ -]?sizes?|corrections?", "learning_rate"),
        (r"epochs?|rounds?", "epochs"),
        (r"warm[ _-]?up", "warmup"),
        (r"ranks?", "rank"),
        (r"alpha", "alpha"),
        (r"dropout", "dropout"),
        (r"weight[ _-]?decay", "weight_decay"),
        (r"effective[ _-]batch|batch(?:es)?(?:[ -]size)?", "effective_batch"),
        (r"micro[ _-]?batch\w*|examples at once", "micro_batch"),
        (r"precision|fp16|bf16|fp32|nf4|half|quanti\w+", "precision"),
        (r"clipping|max[ _-]grad[ _-]norm", "max_grad_norm"),
        (r"patience", "patience"),
        (r"max[ _-]length|longest example|context|sequence", "max_length"),
        (r"schedule\w*", "schedule"),
        (r"attention", "attention"),
        (r"recompute|checkpointing", "recompute"),
        (r"offload\w*", "offload"),
        (r"optimi[sz]er", "optimizer"),
        (r"targets?|modules?|layers?", "targets"),
        (r"seed", "seed"),
        (r"template", "template"),
        (r"tokens? at once|token[ _-]budget", "token_budget"),
        (r"held-?out share", "heldout_share"),
    )
)
_ADVICE = re.compile(
    r"\b(should|shall|must|ought|need to|needs to|have to|has to|try|use|using|set|change|switch|consider|"
    r"recommend\w*|suggest\w*|advis\w*|please|can|could|would|might|may|add|remove|delete|install\w*|download\w*|"
    r"upgrad\w*|updat(?:e|ing) (?:your|the|to)|restart\w*|reboot|retry|rerun|run (?:it|again|the|this|a)|click|visit|"
    r"open|go to|call|contact|email|send|buy|pay|enter|type|execute|stop (?:it|the|this|training)|let|make sure|"
    r"ensure|avoid|do not|don't|never|always|increase|decrease|reduce|lower the|raise|disable|enable|turn (?:on|off|"
    r"up|down)|apply|adjust|tune|keep|(?<!the )start|wait|next time|instead|better to|best to|fix|solution|helps?|prevent\w*|"
    r"train (?:it|for|on|with|longer|more)|want to)\b"
)

# Causes and states by the words that name them; each needs a word of the pack of its own kind
_CAUSES: tuple[tuple[str, str], ...] = (
    (r"memory|oom|vram|ram", r"memory|oom"),
    (r"overfit\w*|memori[sz]\w*|by heart|forgot\w*|forget\w*", r"overfit|by heart|memoris|forg"),
    (r"diverg\w*|ran away|run away|explod\w*|unstable|instab\w*|blew up", r"ran away|diverg|too big|unstable|jump"),
    (r"nan|infinit\w*|overflow\w*|not finite|non-finite|underflow\w*", r"finite|nan|ran over|run over|overflow|fp16"),
    (r"duplicat\w*|repeated|leak\w*|contaminat\w*", r"duplic|repeat|twice|shared|leak"),
    (r"templates?|end-of-turn|eos|stop token", r"template|turn|stop"),
    (r"disks?|storage", r"disk"),
    (r"network|internet|connection", r"network"),
    (r"power|battery|heat|hot|temperature|thermal", r"batter|hot|heat"),
    (r"drivers?|cuda|gpus?|hardware|graphics", r"driver|cuda|card|graphics"),
    ((r"bugs?|virus\w*|malware|hack\w*|corrupt\w*|damag\w*|broken|broke"), r"damag|corrupt|broken"),
    (r"too few|too little|not enough|insufficient|small dataset", r"few|little|not enough"),
    (r"underfit\w*|undertrain\w*", r"underfit|falling|learned too little"),
    (r"spik\w*|nois\w*|fluctuat\w*", r"spike|jump|nois"),
    (r"label\w*|mislabel\w*|quality of the|bad data|dirty", r"label|quality"),
    (r"crash\w*|kill\w*|abort\w*|segfault\w*", r"killed|crash"),
    (r"fail\w*|errors?|wrong|problem\w*|issues?|trouble", r"failed|killed|Cause: (?!nothing)"),
    (r"still (?:running|going|training|learning)|in progress|ongoing", r"State of the run: (?:running|waiting)"),
    (r"finish\w*|complet\w*|succeed\w*|success\w*", r"State of the run: finished"),
    (r"stopped|halted|interrupted|cancel\w*", r"stopped|ended early|failed|killed"),
    (r"guarantee\w*|certain\w*|definitely|perfect\w*|always|never|impossible|proven?|proof", r"(?!)"),
)
_GOOD = re.compile(r"\b(better|improv\w*|great|excellent|good|well|learned(?! from)|gain\w*|progress|strong|impressive|effective\w*)\b")
_BAD = re.compile(r"\b(worse\w*|degrad\w*|deteriorat\w*|bad\w*|poor\w*|terribl\w*|useless|decline\w*)\b")
_FELL = re.compile(r"\b(fell|fall\w*|drop\w*|decreas\w*|lower\w*|shrank|shrunk|reduc\w*|down|declin\w*|less|smaller)\b")
_ROSE = re.compile(r"\b(rose|ris\w*|increas\w*|climb\w*|grew|grow\w*|higher|up|jump\w*|more|larger|bigger|went up|exceed\w*|above)\b")
_SELF = re.compile(
    r"\b(as an ai|the (?:answer|question)|language model|assistant|i am|i'm|i cannot|i can't|i can|sorry|instructions?|prompt|system|"
    r"ignore|disregard|previous|pretend|roleplay|user|sure|of course|evidence pack|json|http\w*|www|href|script|password|"
    r"passwords|secret|token=|api|sudo|rm|pip|eval|exec|import)\b|@|\.(?:com|org|net|io|exe|sh|py)\b"
)


def objection(sentence: str, pack: Pack, cited: Iterable[Row] = ()) -> str:
    """Why a sentence may not be shown, or an empty string. What is named as a cause stands in what was found, or in a row that is cited."""
    text = sentence.lower()
    if _SELF.search(text):
        return "speaks of itself or of something else than the run"
    for why in _about_ways(text, pack):
        return why
    ground = "\n".join([pack.found, *(row.words for row in cited)])
    for pattern, needs in _CAUSES:
        if re.search(rf"\b(?:{pattern})\b", text) and not re.search(needs, ground):
            return "names a cause or a state that the rules did not find"
    return _about_verdict(text, pack)


def rises(text: str) -> bool:
    """Whether a sentence says that something rose."""
    return bool(_ROSE.search(text))


def falls(text: str) -> bool:
    """Whether a sentence says that something fell."""
    return bool(_FELL.search(text))


def advises(sentence: str) -> bool:
    """Whether a sentence says what to do."""
    return bool(_ADVICE.search(sentence.lower()))


def _about_ways(text: str, pack: Pack) -> Iterator[str]:
    """Advice must be one of the vetted ways out, in its direction."""
    if _RATE.search(text) and _UP.search(text) and _way(pack, "learning_rate") <= 0:
        yield "would raise the learning rate"
    if not _ADVICE.search(text):
        return
    vetted = {name for way in pack.ways for name in way.settings}
    named = {setting for pattern, setting in _KNOBS if pattern.search(text)}
    if not named or not named <= vetted:
        yield "advises something that was not vetted"
    for name in named:
        way = _way(pack, name)
        wrong = (
            (way < 0 and _UP.search(text)) or (way > 0 and _DOWN.search(text)) or (way == 0 and (_UP.search(text) or _DOWN.search(text)))
        )
        if len(named) == 1 and wrong:
            yield "advises the other direction"
    if len(named) > 1 and _UP.search(text) and _DOWN.search(text):
        yield "advises two directions at once"


def _way(pack: Pack, setting: str) -> float:
    """In which direction the vetted ways move a setting: -1, 0 or 1."""
    signs: set[float] = set()
    for way in pack.ways:
        wanted, now = way.settings.get(setting), pack.settings.get(setting)
        if isinstance(wanted, int | float) and not isinstance(wanted, bool) and now is not None:
            signs.add((wanted > now) - (wanted < now))
    return signs.pop() if len(signs) == 1 else 0


def _about_verdict(text: str, pack: Pack) -> str:
    fell = _moved(pack)
    if _GOOD.search(text) and pack.verdict != "better":
        return "says it got better, which the verdict does not"
    if _BAD.search(text) and pack.verdict != "worse":
        return "says it got worse, which the verdict does not"
    if "loss" in text and ((_ROSE.search(text) and fell < 0) or (_FELL.search(text) and fell > 0)):
        return "turns the loss round"
    return ""


def _moved(pack: Pack) -> float:
    """Whether the held-out loss fell (-1) or rose (1) in the evidence; 0 where it is not told."""
    values = {row.evidence.what: row.evidence.value for row in pack.rows}
    before, after = values.get("held-out loss before training"), values.get("held-out loss after training")
    if isinstance(before, float) and isinstance(after, float):
        return (after > before) - (after < before)
    return 0


def words_of(pack: Pack) -> set[str]:
    """The words of the evidence that carry meaning, lower case, without their endings."""
    return {
        stem(word) for word in re.findall(r"[a-z][a-z-]{3,}", f"{pack.text} {' '.join(tidy(way.words, 200) for way in pack.ways)}".lower())
    }


def stem(word: str) -> str:
    """A word without its commonest endings."""
    return re.sub(r"(?:ing|ed|es|s)$", "", word) or word
