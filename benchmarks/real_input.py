"""Trains the starter on real files and writes Markdown tables: loss before and after on held-out examples, one answer each.

    python -m benchmarks.real_input ../shared/data/text [--minutes 2] > table.md

Every run goes the way a person's would: profile, proposed plan, worker, verdict. Only the time limit is set by hand.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.labfail.make.texts import TEXTS
from loralab import Lab


def first_rows(source: Path, target: Path, count: int) -> Path:
    """The first-come `count` rows spread evenly over a CSV file, so that every label is met."""
    with source.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    step = max(1, len(rows) // count)
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows[::step][:count]])
    return target


def one_line(text: str, most: int = 220) -> str:
    """Text as it fits a table cell."""
    flat = text.replace("|", "\\|").replace("\n", " ⏎ ")
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def main() -> None:
    """Train on each file in turn and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=2.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loralab-real-") as scratch:
        banking = first_rows(chosen.folder / "banking77_train.csv", Path(scratch) / "banking77_400.csv", 400)
        code = TEXTS / "code_commenter.jsonl"
        files = [chosen.folder / name for name in ("medquad_faq_1000.csv", "poems.jsonl", "tinyshakespeare.txt")] + [banking, code]
        lab = Lab(Path(scratch) / "home")
        rows, answers = [], []
        for path in files:
            report, shape = train(lab, path, chosen.minutes)
            if report["outcome"] != "finished":
                sys.exit(f"{path.name}: {report['problem']}")
            drop = 1 - report["adapter_loss"] / report["base_loss"]
            rows.append(
                f"| {path.name} | {shape} | {report['n_heldout']} | {report['steps']} "
                f"| {report['seconds']:.0f} | {report['tokens_per_second']:.0f} "
                f"| {report['base_loss']:.3f} | {report['adapter_loss']:.3f} | -{drop:.0%} |"
            )
            sample = report["samples"][0]
            answers.append(f"| {path.name} | {one_line(sample['prompt'])} | {one_line(sample['before'])} | {one_line(sample['after'])} |")
    columns = "| file | shape | held out | updates | seconds | tokens/s | loss before | loss after | change |"
    sys.stdout.write(f"{columns}\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n" + "\n".join(rows))
    sys.stdout.write("\n\n| file | held-out prompt | before | after |\n|---|---|---|---|\n" + "\n".join(answers) + "\n")


def train(lab: Lab, path: Path, minutes: float) -> tuple[dict[str, Any], str]:
    """One file through the whole way; its report and the shape it was recognised as."""
    profile = lab.profile(path)
    proposal = lab.propose(profile, max_minutes=minutes)
    sys.stderr.write(f"{path.name}: {profile.shape}, {profile.n_kept} of {profile.n_read} rows\n")
    run = lab.start(proposal.plan)
    lab.wait(run)
    return lab.report(run), profile.shape


if __name__ == "__main__":
    main()
