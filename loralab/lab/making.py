"""Owns making data sets: from documents, from a few examples, by hand; looking through them; and whether the made rows help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loralab.core.errors import UserError
from loralab.core.jobs import BuildDataJob, SynthesizeJob, TrainJob, Writer
from loralab.core.paths import room
from loralab.core.records import Proposal
from loralab.core.words import count
from loralab.datasets.large.shards import Note, Shards, write_shards
from loralab.datasets.large.watch import Watch
from loralab.datasets.loading import load_examples
from loralab.datasets.synthesis import domains
from loralab.datasets.synthesis.augment import AUGMENTATIONS, augmented
from loralab.datasets.synthesis.build_job import documents
from loralab.datasets.synthesis.curve import MoreRows, more_rows, shares
from loralab.datasets.synthesis.files import Format, Made, check_free, hand_out, read_rows
from loralab.datasets.synthesis.gates import Sifted, Yard, gates, sift
from loralab.datasets.synthesis.review import Review
from loralab.datasets.synthesis.rows import TEST, MadeRow, with_id, write_rows
from loralab.datasets.synthesis.split import with_split
from loralab.datasets.synthesis.trial import two_files
from loralab.datasets.synthesis.writers.loop import Wanted, cost, limit, usual_forms
from loralab.lab.results import Results
from loralab.models.tokenize import TextEncoder
from loralab.serve.writing import Terms, terms


class Cost(NamedTuple):
    """What is expected of having rows written."""

    rows: int
    calls: int
    tokens: int
    forms: tuple[str, ...]


class Making(Results):
    """A workspace in which data sets can be made."""

    def build_data(self, paths: Sequence[Path | str], out: Path | str = "", **more: Any) -> str:
        """Make rows from documents, without a language model; returns the id of the work. `more`: fields of BuildDataJob.

        The file is `out`, or one of the workspace; `made_data(file)` reads it with its passages, bin, graph and report.
        """
        given = [str(Path(path).expanduser().resolve()) for path in paths]
        documents(given)
        target = self._free(out, Path(given[0]).stem if len(given) == 1 else "documents")
        return self.begin(BuildDataJob(paths=tuple(given), out=str(target), **more))

    def writer_terms(self, writer: Writer) -> Terms:
        """What a person has to know before a writer is asked: its licence and whether words leave this computer. Nothing is fetched."""
        return terms(writer, self.catalog.entries())

    def synthesize(self, of: Path | str, writer: Writer, out: Path | str = "", **more: Any) -> str:
        """Have a language model of the person's write rows after the rows of a file; returns the id of the work.

        `more`: fields of SynthesizeJob. Show `writer_terms` first: this begins to ask it.
        """
        source = Path(of).expanduser().resolve()
        read_rows(source)
        said = self.writer_terms(writer)
        passages = Made(source).about / "passages.jsonl"
        folder = str(self.catalog.folder(writer.name)) if writer.kind == "model" else ""
        values: dict[str, Any] = {"passages": str(passages) if passages.is_file() else "", "model": folder, **more}
        target = self._free(out, f"{source.stem}-written")
        return self.begin(SynthesizeJob(of=str(source), out=str(target), writer=said.writer, **values))

    def writing_cost(self, of: Path | str, rows: int = 100, forms: Sequence[str] = (), most_per_human: float = 4.0) -> Cost:
        """What having rows written takes, about: rows at most, calls, tokens, and the forms that fit."""
        made = self.made_data(of)
        found = read_rows(made.path)
        learned = [row for row in found if row.split != TEST]
        chosen = tuple(forms) or usual_forms(learned, made.passages)
        wanted = Wanted(rows=rows, forms=chosen, most_per_real=most_per_human)
        return Cost(max(0, limit(found, wanted)), *cost(wanted, found), chosen)

    def made_data(self, path: Path | str) -> Made:
        """A made data set: `rows`, `binned`, `passages`, `graph`, `report`."""
        return Made(Path(path).expanduser().resolve())

    def gates(self) -> dict[str, str]:
        """The gates by name, cheap ones first, each with its title."""
        return {name: gate.title for name, gate in gates().items()}

    def sift(self, path: Path | str, without: Sequence[str] = (), ask: Callable[[str], str] | None = None) -> Sifted:
        """Send the rows of any file with questions and answers through the gates; nothing is written."""
        made = self.made_data(path)
        yard = Yard(passages={one.id: one.text for one in made.passages}, ask=ask, spare_human=False)
        return sift(read_rows(made.path), yard, without)

    def augment(self, path: Path | str, kinds: Sequence[str], most: int = 1, seed: int = 0) -> list[MadeRow]:
        """Rows to learn from made of a file's own without a writer: other spellings and forms of the same questions."""
        return augmented(read_rows(Path(path)), self._kinds(kinds), most, seed)

    def vary(self, path: Path | str, kinds: Sequence[str], out: Path | str = "", most: int = 1) -> Path:
        """A new file with the rows of another and, to learn from, the same questions as other people would type them.

        Raises UserError where nothing could be varied. Whether it helps, `does_it_help` of the new file says.
        """
        source = Path(path).expanduser().resolve()
        rows = read_rows(source)
        sides = rows if any(row.split == TEST for row in rows) else with_split(rows)
        target = self._free(out, f"{source.stem}-varied")
        fresh = augmented(sides, self._kinds(kinds), most)
        if not fresh:
            raise UserError("None of the questions could be varied in this way.", "Choose other ways.", code="no_rows")
        write_rows(target, [*sides, *fresh])
        return target

    def _kinds(self, kinds: Sequence[str]) -> Sequence[str]:
        """The ways, each of which there is. Raises UserError."""
        if unknown := [kind for kind in kinds if kind not in AUGMENTATIONS]:
            todo = f"There are: {', '.join(AUGMENTATIONS)}."
            raise UserError(f"There is no augmentation called “{unknown[0]}”.", todo, code="bad_setting")
        return kinds

    def write_by_hand(self, rows: Iterable[tuple[str, str]], out: Path | str = "") -> Path:
        """Keep rows that a person wrote, some of them set apart to test with. Raises UserError where there is none."""
        said = [(question.strip(), answer.strip()) for question, answer in rows]
        made = [with_id(MadeRow(question=question, answer=answer)) for question, answer in said if question and answer]
        if not made:
            raise UserError("There is no question with an answer yet.", "Write both, then press Next.", code="no_rows")
        target = self._free(out, "written-by-hand")
        write_rows(target, with_split(made))
        return target

    def look_through(self, path: Path | str) -> Review:
        """A made data set to be looked through card by card: accept, edit, reject, undo."""
        return Review(self.made_data(path))

    def hand_out(self, path: Path | str, form: Format, target: Path | str) -> Path:
        """A made data set as jsonl, csv, parquet, or its card."""
        return hand_out(self.made_data(path), form, Path(target).expanduser().resolve())

    def domains(self) -> tuple[domains.Domain, ...]:
        """Fields for which there are words, prompts and samples: those that come along and those a person added."""
        return domains.domains(self.home)

    def add_domain(self, source: Path | str) -> domains.Domain:
        """Take a domain from a folder or zip into the workspace. Raises UserError where it is none."""
        return domains.add(Path(source).expanduser(), self.home)

    def worked_example(self, name: str, out: Path | str = "") -> Path:
        """A domain’s samples and glossary as a file that can be trained, some of it set apart. Raises UserError where there is none."""
        found = domains.domain(name, self.home)
        target = self._free(out, f"{name}-example")
        samples = [row.model_copy(update={"licence": row.licence or found.licence}) for row in found.samples]
        write_rows(target, with_split([*samples, *found.glossary_rows()]))
        return target

    def shards(  # noqa: PLR0913 - what is read, where it goes, and how it is read
        self,
        path: Path | str,
        folder: Path | str,
        model: str = "starter",
        *,
        roles: dict[str, str] | None = None,
        max_length: int = 512,
        learn_from: str = "replies",
        watch: Watch | None = None,
        note: Note = lambda done, total: None,
    ) -> Shards:
        """Write examples as token ids in Arrow files, as a training on that model reads them; rows by the million in little memory.

        Cut off, it goes on. Returns counts and a digest. Raises UserError where nothing can be learned from, or `folder` is taken.
        """
        encoder = TextEncoder(self.catalog.tokenizer_folder(model))
        examples, _ = load_examples(Path(path).expanduser(), roles, watch=watch, home=self.home)
        return write_shards(examples, encoder, Path(folder).expanduser().resolve(), (max_length, learn_from), note)

    def does_it_help(self, path: Path | str, plan: dict[str, Any] | Proposal, without: str = "synthetic") -> tuple[str, str]:
        """Begin two trainings that differ in one thing: without and with the rows of an origin. Both are tested on the same rows.

        Returns the ids, without first; `compare` of them says whether the rows help. Raises UserError where there are none of that origin.
        """
        values = plan.plan if isinstance(plan, Proposal) else plan
        files = two_files(self.made_data(path), without, room("datasets", self.home))
        model = self.catalog.folder(str(values["base_model"]))
        made: list[str] = []
        for file, words in zip(files, (f"Without what is {without}", f"With what is {without}"), strict=True):
            shown = {"dataset": str(file), "title": f"{words}: {Path(path).stem}"[:80], "roles": {"prompt": "question", "answer": "answer"}}
            made.append(self.begin(TrainJob(plan={**values, **shown}, model=str(model))))
        return made[0], made[1]

    def learning_curve(self, path: Path | str, plan: dict[str, Any] | Proposal) -> tuple[str, ...]:
        """Begin pilots on a quarter, a half and all of the rows to learn from, tested on the same rows; returns their ids, smallest first.

        Each is a run: it shows how far it is and can be stopped. `more_rows` says what came of them. Raises UserError where rows are few.
        """
        values = plan.plan if isinstance(plan, Proposal) else plan
        source = Path(path).expanduser().resolve()
        model = self.catalog.folder(str(values["base_model"]))
        made: list[str] = []
        for file, number in shares(self.made_data(source), room("datasets", self.home)):
            shown = {
                "dataset": str(file),
                "title": f"{count(number, 'row')} of {source.stem}"[:80],
                "roles": {"prompt": "question", "answer": "answer"},
            }
            made.append(self.begin(TrainJob(plan={**values, **shown}, model=str(model))))
        return tuple(made)

    def more_rows(self, runs: Sequence[str], more: int = 50) -> MoreRows:
        """What so many more rows would bring about, by the pilots of `learning_curve` that have finished."""
        views = [self.view(run) for run in runs]
        points = [(one.measured.n_train, one.evaluations[-1].loss) for one in views if one.measured and one.evaluations and not one.active]
        return more_rows(points, more)

    def _free(self, out: Path | str, name: str) -> Path:
        """The file to be: what was asked for, or a free name in the workspace."""
        if out:
            target = Path(out).expanduser().resolve()
            check_free(target)
            return target
        folder = room("datasets", self.home) / "made"
        folder.mkdir(exist_ok=True)
        names = (f"{name}{f'-{number}' if number else ''}.jsonl" for number in range(10_000))
        return next(place for one in names if not (place := folder / one).exists())
