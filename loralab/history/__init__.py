"""history.db, the index of all runs and of what is remembered of them, and all SQL there is.

Reading order: record (the nouns), index (what is brought up to date, and when), tables (their shape), measure (what a run teaches the next
prediction); for the memory derive (from a run's folder to a Memory), ledger (what no run folder tells), upkeep (both into the index),
memories (what can be asked and told), travel (a memory in one file).

Invariant: files are the truth. The index can be deleted at any time and is made again from the run folders and memory.jsonl.
"""

from loralab.core.paths import model_name as named
from loralab.history.index import History
from loralab.history.record import Act, Advice, Cause, Memory, Moment, Point

__all__ = ["Act", "Advice", "Cause", "History", "Memory", "Moment", "Point", "named"]
