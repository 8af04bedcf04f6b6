"""Owns publishing to the Hugging Face Hub: signing in, what goes there, putting it there for one's own eyes, and letting everybody see it.

Invariants: nothing is sent before a person has seen the list of files and said yes; making it public is another question, which shows first
what becomes visible; the token is never on the page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from loralab.core.errors import LabError, UserError
from loralab.lab import Lab, Visible, ask_sign_in, begin_sign_in
from ui.asking import Question, question
from ui.errors import show_errors, show_errors_at
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.runs.run_names import run_title
from ui.runs.work import follow
from ui.words import notice, paragraph

TITLE = "Publish it on the Hugging Face Hub"
LEAD = (
    "Put it into a place of your own on huggingface.co. At first only you can see it; letting everybody see it is a second step, which "
    "shows you first what becomes visible. Your examples stay here."
)
FORMS = {
    "adapter": "What was learned, small",
    "merged": "The whole model",
    "gguf": "For Ollama, LM Studio and llama.cpp (GGUF)",
    "onnx": "For websites and phones (ONNX)",
}
SAMPLES = "Show its answers to examples you kept aside on its page"
PASTED = "From huggingface.co/settings/tokens, one that may write. It is kept on this computer for you alone."


@dataclass(frozen=True)
class _Parts:
    """What is on the page."""

    account: gr.HTML
    sign_in: gr.Button
    cancel: gr.Button
    sign_out: gr.Button
    token: gr.Textbox
    ready: gr.Column
    form: gr.Radio
    name: gr.Textbox
    samples: gr.Checkbox
    look: gr.Button
    stop: gr.Button
    doing: gr.HTML
    ask: Question
    done: gr.HTML
    public: gr.Button
    ask_public: Question
    seen: gr.State
    going: gr.State  # the work that is going on
    of: gr.State  # the run that name and form were set for


def draw_publish(page: Page) -> None:
    """Draw it, folded, and wire it."""
    with gr.Accordion(TITLE, open=False, elem_classes="fold", elem_id="publish"):
        parts = _draw()
    _wire_account(page, parts)
    _wire_publish(page, parts)
    _wire_public(page, parts)


def _draw() -> _Parts:
    markup(paragraph(LEAD, "lead"))
    account = markup(elem_id="hub-account")
    with gr.Row(elem_classes="actions"):
        sign_in = gr.Button("Sign in with a code", variant="primary", scale=0, min_width=180, elem_id="hub-sign-in")
        cancel = gr.Button("Cancel", scale=0, min_width=110, visible=False)
        sign_out = gr.Button("Sign out", size="sm", scale=0, min_width=110, visible=False, elem_classes="quiet", elem_id="hub-sign-out")
    token = gr.Textbox(
        label="Or paste a token", info=PASTED, type="password", max_length=400, submit_btn=True, elem_id="hub-pasted", autofocus=False
    )
    with gr.Column(visible=False) as ready:
        form = gr.Radio([(words, key) for key, words in FORMS.items()], value="adapter", label="What goes there", elem_classes="goals")
        name = gr.Textbox(label="Its name there", placeholder="my-model", max_length=96, elem_id="hub-repo")
        samples = gr.Checkbox(False, label=SAMPLES, container=False, elem_id="hub-samples")
        with gr.Row(elem_classes="actions"):
            look = gr.Button("Show me what would go there", variant="primary", scale=0, min_width=240, elem_id="hub-look")
            stop = gr.Button("Cancel", scale=0, min_width=110, visible=False, elem_id="hub-cancel")
        doing = markup(elem_id="publishing")
        ask = question("Publish it, for my eyes only", "Not now", name="publish")
        done = markup(elem_id="published")
        with gr.Row(elem_classes="actions"):
            public = gr.Button("Let everybody see it …", scale=0, min_width=200, visible=False, elem_id="hub-public")
        ask_public = question("Let everybody see it", "Keep it for me", ("secondary", "primary"), name="public")
    seen, going, of = gr.State(None), gr.State(""), gr.State("")
    first = (account, sign_in, cancel, sign_out, token, ready, form, name, samples, look, stop, doing)
    return _Parts(*first, ask, done, public, ask_public, seen, going, of)


# ---- whose account ---------------------------------------------------------------------------------------------------------


def _account(lab: Lab, parts: _Parts, words: str = "") -> Updates:
    """Whose it is, without asking anybody: that a token is here is enough to go on."""
    kept = lab.hub_account.kept
    where = {"keyring": "Its key lies in this computer's keyring.", "file": "Its key lies in a file for you alone."}.get(kept, "")
    return {
        parts.account: notice(words or "You are signed in to the Hub.", where, "good") if kept else "",
        parts.sign_in: gr.Button(visible=not kept),
        parts.cancel: gr.Button(visible=False),
        parts.sign_out: gr.Button(visible=bool(kept)),
        parts.token: gr.Textbox(value="", visible=not kept),
        parts.ready: gr.Column(visible=bool(kept)),
    }


def _wire_account(page: Page, parts: _Parts) -> None:
    lab, waiting = page.lab, dict[str, bool]()
    outputs = [parts.account, parts.sign_in, parts.cancel, parts.sign_out, parts.token, parts.ready]

    @show_errors_at("hub-sign-in")
    def sign_in(request: gr.Request) -> Iterator[Updates]:
        """Show a code until it was typed on the Hub's page, or the person gives up."""
        window = request.session_hash or ""
        waiting[window] = True
        code = begin_sign_in()
        yield {
            parts.account: draw("share", "code", code.shown, code.link),
            parts.sign_in: gr.Button(visible=False),
            parts.cancel: gr.Button(visible=True),
        }
        given = None
        try:
            while given is None and waiting.get(window):
                _pause(code.every, lambda: not waiting.get(window))
                given, code = ask_sign_in(code)
            who = lab.hub_account.keep_signed_in(given) if given else None
        except LabError:
            yield _account(lab, parts)
            raise
        finally:
            waiting.pop(window, None)
        yield _account(lab, parts, f"You are signed in to the Hub as {who.name}." if who else "")

    @show_errors_at("hub-pasted")
    def paste(token: str) -> Updates:
        return _account(lab, parts, f"You are signed in to the Hub as {lab.hub_account.keep(token).name}.")

    @show_errors_at("hub-sign-out")
    def sign_out() -> Updates:
        lab.hub_account.forget()
        return _account(lab, parts)

    def give_up(request: gr.Request) -> None:
        waiting.pop(request.session_hash or "", None)

    parts.sign_in.click(sign_in, None, outputs, show_progress="hidden", trigger_mode="once")
    parts.cancel.click(give_up, None, None, show_progress="hidden")
    parts.token.submit(paste, parts.token, outputs, show_progress="hidden")
    parts.sign_out.click(sign_out, None, outputs, show_progress="hidden")
    page.moment.change(show_errors(lambda: _account(lab, parts)), None, outputs, show_progress="hidden")


def _pause(seconds: float, ended: Callable[[], bool]) -> None:
    """Wait, in small steps, until somebody ends it."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and not ended():
        time.sleep(min(0.2, max(0.0, limit - time.monotonic())))


# ---- putting it there ------------------------------------------------------------------------------------------------------


def _wire_publish(page: Page, parts: _Parts) -> None:
    lab = page.lab
    outputs = [parts.look, parts.stop, parts.doing, parts.ask.column, parts.ask.words, parts.done, parts.public, parts.going, parts.name]
    outputs += [parts.form, parts.ask_public.column, parts.of]
    asked = [page.run, parts.form, parts.name, parts.samples]

    @show_errors_at("hub-look")
    def look(run: str, form: str, name: str, samples: bool) -> Iterator[Updates]:
        """Make it first where it is not made, then show what would go."""
        if not name.strip():
            raise UserError("It has no name there yet.", "Write one: letters, digits and dashes.", code="bad_name")
        export = lab.made(run, form)
        if not export:
            yield from _followed(lab, parts, lab.export(run, form), "Making it first")
            export = lab.made(run, form)
        if export:  # else it was stopped
            yield {**parts.ask.ask(draw("share", "review", lab.publishing(export, samples=samples), name.strip())), **_idle(parts)}

    @show_errors_at("publish-yes")
    def publish(run: str, form: str, name: str, samples: bool) -> Iterator[Updates]:
        yield {parts.ask.column: parts.ask.hide(), parts.done: ""}
        work = lab.publish(lab.made(run, form), name.strip(), samples=samples)
        try:
            yield from _followed(lab, parts, work, "Publishing")
        finally:
            ended = lab.view(work).ending
        said = notice(ended.what) if ended and ended.outcome == "stopped" else ""
        yield {**_idle(parts), **_published(lab, parts, run), **({parts.done: said} if said else {})}

    @show_errors
    def another(run: str, form: str, name: str, of: str) -> Updates:
        """Another run, or this one has ended: its own name there, and what it is offered in; what was typed for this one stays."""
        if not run or not lab.view(run).made("adapter"):
            return {parts.done: ""}
        if run == of:
            return _published(lab, parts, run)
        offered = {offer.format for offer in lab.offers(run) if offer.problem is None or offer.problem.part}
        forms = [(words, key) for key, words in FORMS.items() if key in offered]
        kept = form if form in offered else forms[0][1] if forms else None
        hidden: Updates = {parts.ask.column: parts.ask.hide(), parts.ask_public.column: parts.ask_public.hide(), parts.of: run}
        named = lab.published(run).rpartition("/")[2] or _plain(run_title(lab, run))
        return {**hidden, **_published(lab, parts, run), parts.name: named, parts.form: gr.Radio(forms, value=kept)}

    parts.look.click(look, asked, outputs, show_progress="hidden", trigger_mode="once")
    parts.ask.yes.click(publish, asked, outputs, show_progress="hidden", trigger_mode="once")
    parts.stop.click(
        show_errors(lambda work: lab.stop(work) if work and lab.view(work).active else None), parts.going, None, show_progress="hidden"
    )
    page.moment.change(another, [page.run, parts.form, parts.name, parts.of], outputs, show_progress="hidden")


def _followed(lab: Lab, parts: _Parts, work: str, words: str) -> Iterator[Updates]:
    """A work with its progress, time left and a way to cancel it; however it ends the buttons come back."""
    yield {parts.look: gr.Button(interactive=False), parts.stop: gr.Button(visible=True), parts.going: work}
    try:
        for line in follow(lab, work, words):
            yield {parts.doing: line}
    except LabError:
        yield _idle(parts)
        if lab.view(work).state != "stopped":
            raise


def _idle(parts: _Parts) -> Updates:
    return {parts.look: gr.Button(interactive=True), parts.stop: gr.Button(visible=False), parts.doing: "", parts.going: ""}


def _published(lab: Lab, parts: _Parts, run: str) -> Updates:
    """Where a run is on the Hub, as the last publishing of it told; nothing is asked there."""
    told = lab.publication(run)
    shown = draw("share", "published", told["repo"], told["url"], told["version"], told["private"]) if told else ""
    return {parts.done: shown, parts.public: gr.Button(visible=bool(told))}


def _plain(title: str) -> str:
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in title.lower())
    return "-".join(part for part in plain.split("-") if part)[:80]


# ---- letting everybody see it ----------------------------------------------------------------------------------------------


def _wire_public(page: Page, parts: _Parts) -> None:
    lab = page.lab

    @show_errors_at("hub-public")
    def look(run: str) -> Updates:
        seen = lab.visible(run, lab.published(run))
        if not seen.private:
            raise UserError("Everybody can see it already.", "On its page on the Hub you can make it private again.", code="is_public")
        return {**parts.ask_public.ask(draw("share", "visible", seen)), parts.seen: seen}

    @show_errors_at("public-yes")
    def public(run: str, seen: Visible) -> Updates:
        lab.make_public(run, seen)
        said = notice(f"Everybody can see {seen.repo} now.", f"Its page: {seen.url}", "good")
        return {parts.ask_public.column: parts.ask_public.hide(), parts.done: said, parts.public: gr.Button(visible=False)}

    words: list[Any] = [parts.ask_public.column, parts.ask_public.words, parts.seen]
    parts.public.click(look, page.run, words, show_progress="hidden", trigger_mode="once")
    changed = [parts.ask_public.column, parts.done, parts.public]
    parts.ask_public.yes.click(public, [page.run, parts.seen], changed, show_progress="hidden", trigger_mode="once")
