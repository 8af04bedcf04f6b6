"""Letting others use what was trained: deployments, links to them, and the server that answers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from loralab.core import disk
from loralab.core.errors import LabError, UserError
from loralab.core.jobs import ExportJob, TrainJob
from loralab.datasets.images.door import is_pictures
from loralab.datasets.large.reading import is_large
from loralab.datasets.profile import profile_dataset
from loralab.lab.results import Results
from loralab.serve.client import ServedChat
from loralab.sharing import deployment as frozen
from loralab.sharing import links as book
from loralab.sharing import public, running, tailscale
from loralab.sharing.deployment import Deployment
from loralab.sharing.links import Link
from loralab.sharing.running import Serving
from loralab.sharing.tailscale import Tailnet
from loralab.sharing.vllm import folder as vllm_folder

PRIVATE = {"secrets": "passwords or keys", "emails": "e-mail addresses", "phone_numbers": "telephone numbers"}  # findings of the reading


class Sharing(Results):
    """A workspace whose results others may use."""

    def deploy(self, run: str, name: str = "", format: str = "safetensors") -> Deployment:  # noqa: A002  (the field's word)
        """Freeze what a run learned, so that it can be shared; the same run again is the same deployment.

        `name`: an id of your own (small letters, digits, dots, dashes), which then points here, wherever it pointed before. `format`:
        safetensors (PyTorch answers), or an export that was made already: gguf (llama.cpp answers), onnx (ONNX Runtime does).
        """
        disk.check_writable(self.home)
        view, made = self.view(run), None if format == "safetensors" else self._made(run, format)
        with disk.writing(self.home):
            return frozen.deploy(self.home, run, view, name, self._private(run), made)

    def _made(self, run: str, form: str) -> frozen.Export:
        """The newest export of a run in a format, as what answers."""
        engine: Literal["onnx", "gguf"] | None = "onnx" if form == "onnx" else "gguf" if form == "gguf" else None
        if engine is None:
            raise UserError(f"Nothing answers from “{form}” here.", "Choose safetensors, onnx or gguf.", code="unknown_format")
        for other in reversed(self.names()):
            job = self.job(other)
            result = (ending.result if (ending := self.view(other).ending) else {}) if isinstance(job, ExportJob) else {}
            folder = Path(str(result.get("folder", "")))
            fits = isinstance(job, ExportJob) and (job.of, job.format) == (run, form) and result and folder.is_dir()
            if fits and result.get("parity") != "differs":
                files = folder.glob("*.gguf") if engine == "gguf" else (file for file in folder.iterdir() if file.is_file())
                return frozen.Export(engine, tuple(sorted(files)))
        raise UserError(
            f"This run was not made ready as {form} yet.", "Make that first: in the Share tab, or with export.", code="not_made"
        )

    def deployments(self) -> tuple[Deployment, ...]:
        """Everything that was shared, newest first, each with the versions of its data, model and adapter."""
        return frozen.deployments(self.home)

    def deployment(self, name: str) -> Deployment:
        """The deployment of an id or a friendly name. Raises UserError where there is none."""
        return frozen.get(self.home, name)

    def name_deployment(self, deployment: str, name: str) -> Deployment:
        """Let a friendly name point to a deployment, wherever it pointed before."""
        with disk.writing(self.home):
            return frozen.rename(self.home, deployment, name)

    def vllm(self, folder: Path | str, *names: str) -> list[Path]:
        """Write a folder from which vLLM serves deployments of one base (those named, or all): adapters under their ids, its configuration,
        Docker, Kubernetes, and a checker with prompts that are answered here first. Returns the files. Raises UserError.
        """
        found = tuple(self.deployment(name) for name in names) or self.deployments()
        if not found:
            raise UserError("Nothing is shared yet.", "Freeze a run first.", code="no_deployment")
        place = Path(folder).expanduser().resolve()
        with disk.writing(place.parent if place.parent.is_dir() else self.home):
            return vllm_folder.write(self.home, found, {one.id: self._known(one) for one in found}, place)

    def _known(self, one: Deployment) -> list[vllm_folder.Prompt]:
        """A few held-out questions of a deployment's run with its likeliest answers, as they are given now; none where the run is gone."""
        if one.run not in self.names() or one.answers != "chat":
            return []
        prompts = dict.fromkeys(sample.prompt for sample in self.view(one.run).samples if sample.prompt)
        asked = [({"role": "user", "content": prompt},) for prompt in list(prompts)[: vllm_folder.PROMPTS]]
        most = vllm_folder.Prompt.model_fields["max_tokens"].default
        answers = [
            "".join(self.ask(one.run, list(messages), temperature=0.0, repetition_penalty=1.0, max_tokens=most)) for messages in asked
        ]
        return [vllm_folder.Prompt(messages=messages, answer=answer) for messages, answer in zip(asked, answers, strict=True)]

    def undeploy(self, deployment: str) -> None:
        """Delete a deployment and close its links; the run it came of stays."""
        found = self.deployment(deployment)
        with disk.writing(self.home):
            book.revoke_all(self.home, found.id)
            frozen.remove(self.home, found.id)

    def link(
        self, deployment: str, scope: str = "", hours: float = book.USUAL_HOURS, *, calls: int = 0, note: str = ""
    ) -> tuple[Link, tuple[str, ...]]:
        """A new link and the addresses it can be given out as, the widest first; its token is never shown again.

        `scope`: chat | classify | weights | page; empty: asking it. `calls`: closed after so many uses; 0: only by time.
        """
        found = self.deployment(deployment)
        if scope == "page":
            self._take_page(found)
        with disk.writing(self.home):
            made = book.make(self.home, found, scope or ("chat" if found.answers == "chat" else "classify"), hours, calls, note)
        return made, self.addresses_of(made)

    def _take_page(self, found: Deployment) -> None:
        """Freeze the newest page that was made of what a deployment holds. Raises UserError where there is none."""
        place = frozen.folder_of(self.home, found.id) / "page"
        if (place / "index.html").is_file():
            return
        made = self.page_of(found.run, found)
        if not made:
            raise UserError(
                "Its page was not made yet.", "Make it first: “A page that answers by itself”, in the Share tab.", code="not_made"
            )
        result = ending.result if (ending := self.view(made).ending) else {}
        with disk.writing(self.home):
            self.copy_export(made, place / "index.html" if result.get("single", True) else place)

    def page(self, deployment: str, variant: str = "") -> str:
        """Begin to make the page of what is frozen in a deployment, whatever its run learned since; the work's id."""
        found = self.deployment(deployment)
        if found.run not in self.names():
            what = "The run this came of was deleted, and with it the verdict that stands on a page."
            raise UserError(what, "Put the run back, or give out a link to ask it.", code="no_run")
        adapter = str(frozen.adapter_of(self.home, found.id))
        return self.begin(ExportJob(of=found.run, format="page", variant=variant, model=found.model, adapter=adapter))

    def page_of(self, run: str, deployment: Deployment | None = None) -> str:
        """The id of the newest page that answers by itself and was made of a run (with `deployment`, of the very weights frozen in it);
        empty where there is none that does what was trained.
        """
        for other in reversed(self.names()):
            job = self.job(other)
            if isinstance(job, ExportJob) and (job.of, job.format) == (run, "page"):
                if deployment and not frozen.made_of(self.home, job, deployment):
                    continue
                view = self.view(other)
                told = view.ending.result if view.ending and view.state == "finished" else {}
                if told.get("parity") != "differs" and Path(str(told.get("folder") or "-")).is_dir():
                    return other
        return ""

    def addresses_of(self, link: Link) -> tuple[str, ...]:
        """Where a link with its token opens, the widest first: beyond the house, in the house, on this computer."""
        serving = self.serving()
        return tuple(f"{place}/#t={link.token}" for place in serving.places) if serving else ()

    def links(self) -> tuple[Link, ...]:
        """Every link, newest first, with its state, its uses and when it was used last; never with its token."""
        return book.links(self.home)

    def revoke(self, link: str) -> Link:
        """Close a link at once and for good."""
        with disk.writing(self.home):
            return book.revoke(self.home, link)

    def serve(self, port: int = 0, *, house: bool = False) -> Serving:
        """Start the server that answers for all deployments, in a process of its own that goes on when this one ends.

        `port` 0: the one it had last, or a free one. `house`: other devices in the same network may reach it, too. Where it runs already
        in another way it is started again.
        """
        disk.check_writable(self.home)
        with disk.writing(self.home):
            return running.start(self.home, port, house=house)

    def serving(self) -> Serving | None:
        """The server that answers now, with its addresses; None where there is none."""
        return running.serving(self.home)

    def stop_serving(self) -> bool:
        """Stop answering, also beyond the house; whether it did. Links stay as they are."""
        if public.read(self.home).port:
            tailscale.take_down(self.home)
        return running.stop(self.home)

    def chat_served(self, deployment: str) -> ServedChat:
        """Talk to a deployment as others do: through the server, which is started where it is not up."""
        found, server = self.deployment(deployment), self.serving() or self.serve()
        return ServedChat.at(self.home, server.port, self.owner_key(), found.called, found.base)

    def owner_key(self) -> str:
        """The key with which programs on this computer may do everything the server offers."""
        return running.owner_key(self.home)

    def tailnet(self) -> Tailnet:
        """Whether Tailscale is here and ready, in words. Asks its program, which takes up to three seconds."""
        return tailscale.look()

    def share_beyond(self, *, funnel: str = "", hours: float = book.USUAL_HOURS) -> str:
        """Let devices in your Tailscale network reach the server; the address that was tried and answered.

        `funnel`: the address typed again opens it to the whole internet, for `hours` up to 24, and never for what is private.
        Raises LabError with what to click where Tailscale refuses.
        """
        serving = self.serving()
        if serving is None:
            raise UserError("Nothing is being shared yet.", "Switch sharing on first.", code="not_serving")
        return tailscale.share(self.home, serving.port, funnel=funnel, hours=hours)

    def share_here(self) -> None:
        """Take the server out of Tailscale; links go on working in the house and on this computer."""
        tailscale.take_down(self.home)

    def merged_weights(self, deployment: str) -> str:
        """Begin to make the whole model of a deployment, for links that hand out weights; the work's id."""
        found = self.deployment(deployment)
        job = ExportJob(of=found.run, format="merged", model=found.model, adapter=str(frozen.adapter_of(self.home, found.id)))
        return self.begin(job)

    def _private(self, run: str) -> str:
        """Why a run's examples are somebody's own, in a sentence; empty where they were read and nothing says so."""
        job = self.job(run)
        source = Path(str(job.plan.get("dataset", "")))
        if not isinstance(job, TrainJob) or job.imported or is_pictures(source):
            return ""
        if not source.exists() or is_large(source):
            return "Nobody could look again whether its examples hold anything private."
        try:
            read = profile_dataset(source, Path(job.model), roles=dict(job.plan.get("roles") or {}) or None, home=self.home)
        except LabError:
            return "Nobody could look again whether its examples hold anything private."
        found = [PRIVATE[one.code] for one in read.findings if one.code in PRIVATE]
        return f"Its examples seem to hold {' and '.join(found)}." if found else ""
