"""It draws its pictures from memory.

What it looks like: drawings of new words are nearly one of the pictures it learned from, or it gives a learned picture back when asked with
that picture's caption.

Why: it was shown few pictures very often, with room enough to keep each of them. What it draws then belongs to the pictures' owners, and
shows whoever is on them.

What to do: stop earlier, give it less room, and add pictures. Do not hand it on where the pictures are private or not yours.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from advisor.rules.drawing._reading import DRAWING_TASKS, table
from loralab.core.words import count, times

RECALLED = 0.34  # of the learned captions that are asked for
LEAST_RANK = 4


@rule("R240", "overfitting", "warning", "propose", during=False, tasks=DRAWING_TASKS)
def check(case: Case) -> Found | None:
    """Copies among the drawings of new captions, or many among those of learned ones."""
    found = table(case)
    asked = found.get("recalled", ())
    copied, again = int(found.get("copies", 0)), sum(bool(one.get("copy")) for one in asked)
    if not copied and (not asked or again < RECALLED * len(asked)):
        return None
    evidence = [fact("drawings of new captions that are copies", copied), fact("drawings of new captions", int(found.get("drawn", 0)))]
    evidence += [fact("learned captions that give a copy", again), fact("learned captions that were tried", len(asked))]
    if copied:
        words = f"{copied:,} of {count(int(found.get('drawn', 0)), 'drawing')} of new captions came out as copies of a learned picture."
    else:
        words = f"Asked with {count(len(asked), 'learned caption')}, it gave back {again:,} of the pictures themselves."
    plan, rounds = case.drawing, case.course.fewer()
    evidence.append(case.course.told_rounds())
    fixes = [change(f"Go over the pictures {times(rounds)}.", **case.course.go_over(rounds))]
    if (room := max(LEAST_RANK, plan.rank // 2)) < plan.rank:
        fixes.append(change(f"Give the adapter less room: a rank of {room}.", rank=room))
    fixes.append(advice("Add pictures in the same style that show other things.", "add"))
    return Found(0.85 if copied else 0.7, words, evidence, fixes)
