"""Owns the steps that give the result to others: answering on this computer, and the Hub.

Invariant: nothing leaves this computer without a clear yes, and what seems private in it is said before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from loralab.core.errors import LabError, UserError
from loralab.core.events import RunView
from loralab.core.words import count, size
from loralab.lab import Lab, Serve, Written
from loralab.pipeline.engine import Done, ended_well

Follow = Callable[[str], RunView]
Note = Callable[[dict[str, Any]], None]


class ServeStep:
    """What was learned, frozen under a name, and a server on this computer that answers from it."""

    def __init__(self, lab: Lab, written: Written, follow: Follow, tell: Callable[[str], object]) -> None:
        self.lab, self.asked, self.follow, self.tell = lab, written.recipe.serve or Serve(), follow, tell

    def inputs(self, done: Done) -> dict[str, str]:
        return {"the trained run": str(done.made("train").get("run", "")), "how it answers": self.asked.model_dump_json()}

    def there(self, made: dict[str, Any]) -> bool:
        """Whether the server answers, and knows it: a computer that was switched off in between begins again."""
        serving = self.lab.serving()
        return serving is not None and any(one.id == made["deployment"] for one in self.lab.deployments())

    def make(self, done: Done, begun: dict[str, Any], note: Note) -> dict[str, Any]:
        del begun, note
        run, form = str(done.made("train")["run"]), self.asked.format
        try:
            found = self.lab.deploy(run, self.asked.name, form)
        except UserError as error:
            if error.problem.code != "not_made":
                raise
            ended_well(self.follow(self.lab.export(run, form)))
            found = self.lab.deploy(run, self.asked.name, form)
        serving = self.lab.serve(self.asked.port)
        self.tell(f"  It answers as {found.called} at {serving.here}, until you end it.")
        return {"deployment": found.id, "called": found.called, "here": serving.here}


class PublishStep:
    """An export in a repository of the Hub, which stays private until a person makes it public."""

    def __init__(self, lab: Lab, written: Written, follow: Follow, tell: Callable[[str], object], *, yes: bool) -> None:
        self.lab, self.written, self.follow, self.tell, self.yes = lab, written, follow, tell, yes

    def inputs(self, done: Done) -> dict[str, str]:
        asked = self.written.recipe.publish
        return {"the trained run": str(done.made("train").get("run", "")), "where it goes": asked.model_dump_json() if asked else ""}

    def there(self, made: dict[str, Any]) -> bool:
        return bool(made.get("repo"))  # the Hub is not asked for what nobody changed here

    def make(self, done: Done, begun: dict[str, Any], note: Note) -> dict[str, Any]:
        asked, run = self.written.recipe.publish, str(done.made("train")["run"])
        if asked is None or not asked.repo:
            raise self.written.wrong(("publish",), "say where it goes, as in “publish: {repo: my-model}”")
        self.lab.hub_account.token()
        export = self._export(done, run, asked.format, begun, note)
        review = self.lab.publishing(export)
        self.tell(f"  {count(len(review.files), 'file')} ({size(review.bytes)}) to {asked.repo}, for your eyes only.")
        for one in review.found:
            self.tell(f"  Look at this first: {one.words}")
        if not self.yes:
            raise UserError("Nothing was sent.", "Add --yes to publish it.", code="not_confirmed")
        ending = ended_well(self.follow(self.lab.publish(export, asked.repo))).ending
        told = ending.result if ending else {}
        return {name: told.get(name) for name in ("repo", "url", "version", "private")} | {"export": export}

    def _export(self, done: Done, run: str, form: str, begun: dict[str, Any], note: Note) -> str:
        """The export that goes: one of the recipe's, or made now."""
        known = [one["export"] for one in done.made("export").get("exports", []) if one["format"] == form]
        export = str(begun.get("export") or (known[0] if known else "") or self.lab.made(run, form))
        if export not in self.lab.names():
            export = self.lab.export(run, form)
            ended_well(self.follow(export))
        note({"export": export})
        return export


def taken_back(lab: Lab, done: Done) -> Iterator[str]:
    """End what serves it, where nothing else is served; what lies on the Hub stays there. In words."""
    served, published = done.made("serve"), done.made("publish")
    if served:
        with suppress(LabError):  # somebody took it away before
            lab.undeploy(str(served["deployment"]))
            yield f"{served['called']} does not answer any more."
        if not lab.deployments():
            lab.stop_serving()
    if published:
        yield f"{published.get('repo')} stays on the Hub; take it away there."
