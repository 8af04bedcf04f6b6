"""Owns the place where others are let in: whom, what for, how long; the link that comes of it; every link there is, to be closed.

Invariants: nothing is reachable before a person presses the button; a link's token is on the screen only in the answer to that click.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from loralab.core.errors import LabError, UserError
from loralab.lab import HOUSE_WORDS, SCOPE_WORDS, Lab
from ui.asking import Question, question
from ui.errors import show_errors, show_errors_at
from ui.markup import draw, markup
from ui.page import Page, Updates
from ui.tabs.share import links_view
from ui.wires import bell
from ui.words import heading, notice, paragraph

TITLE = "Let others use it"
LEAD = (
    "They open a link and use what you made. It answers on your computer, while this is awake; your examples stay here, and so does "
    "everything else."
)
HOUSE, BEYOND, HERE = "house", "beyond", "here"
WHOM = [("Somebody in the same network", HOUSE), ("My own devices anywhere, with Tailscale", BEYOND), ("Programs on this computer", HERE)]
WHOM_WORDS = {
    HOUSE: HOUSE_WORDS,
    BEYOND: "Tailscale connects your own devices wherever they are, encrypted. It has to be installed on each, and is free at home.",
    HERE: "Only programs on this computer can open it, such as one that you write.",
}
USE, WEIGHTS, PAGE = "use", "weights", "page"
HOURS = [("1 hour", 1.0), ("1 day", 24.0), ("1 week", 168.0), ("1 month", 720.0)]
COPY = """
element.addEventListener('click', event => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const done = () => { button.textContent = 'Copied'; setTimeout(() => { button.textContent = 'Copy the link'; }, 2500); };
  const text = button.dataset.copy;
  navigator.clipboard ? navigator.clipboard.writeText(text).then(done, () => {}) : 0;
});
"""


def draw_links(lab: Lab, page: Page) -> None:
    """Draw it and wire it."""
    parts: dict[str, Any] = {}
    with gr.Column(elem_classes="card", elem_id="links"):
        markup(heading(TITLE, LEAD))
        parts["whom"] = gr.Radio(WHOM, value=HOUSE, label="Who?", container=False, elem_classes="goals", elem_id="whom")
        parts["words"] = markup(paragraph(WHOM_WORDS[HOUSE], "fine"), elem_id="whom-words")
        with gr.Row():
            parts["what"] = gr.Dropdown(_may(), value=USE, label="They may", elem_id="they-may", scale=2, min_width=230)
            parts["hours"] = gr.Dropdown(HOURS, value=24.0, label="For", elem_id="for-hours", scale=1, min_width=120)
            parts["note"] = gr.Textbox("", label="For whom (if you like)", max_length=80, elem_id="for-whom", scale=1, min_width=150)
        with gr.Row(elem_classes="actions"):
            parts["make"] = gr.Button("Make a link", variant="primary", scale=0, min_width=180, elem_id="make-link")
            parts["off"] = gr.Button("Switch sharing off", scale=0, min_width=170, elem_id="sharing-off", visible=False)
        parts["given"] = gr.HTML("", apply_default_css=False, js_on_load=COPY, elem_id="given")
        parts["on"] = markup(elem_id="sharing-state")
        parts["links"] = markup(elem_id="open-links")
        with gr.Accordion("Everything you share, with its versions", open=False, elem_classes="fold"):
            parts["deployments"] = markup(elem_id="deployments")
            parts["sure"] = question("Stop sharing it", "Leave it", ("stop", "secondary"), name="forget-shared")
        with gr.Accordion("The whole internet", open=False, visible=False, elem_classes="fold", elem_id="funnel") as parts["funnel"]:
            _draw_funnel(parts)
    parts["bell"] = bell("share")
    _wire(lab, page, parts)


def _draw_funnel(parts: dict[str, Any]) -> None:
    words = (
        "Anybody on the internet who has a link gets in, for a day at most. Not for anything private, and not for downloads of what was "
        "learned. To open it, type the address that stands above after “Sharing is on”."
    )
    markup(paragraph(words, "lead"))
    with gr.Row(elem_classes="actions"):
        parts["typed"] = gr.Textbox("", show_label=False, placeholder="https://…", container=False, elem_id="funnel-address", min_width=260)
        parts["open"] = gr.Button("Open it for 24 hours", variant="stop", scale=0, min_width=190, elem_id="open-funnel")


def _may(*, sees: bool = False, has_page: bool = False) -> list[tuple[str, str]]:
    """What a link can be for."""
    found = [(SCOPE_WORDS["classify" if sees else "chat"], USE), (SCOPE_WORDS["weights"], WEIGHTS)]
    return [*found, (SCOPE_WORDS["page"], PAGE)] if has_page else found


def _wire(lab: Lab, page: Page, parts: dict[str, Any]) -> None:
    seen = [parts[name] for name in ("on", "links", "deployments", "off", "funnel")]

    def state() -> Updates:
        serving = lab.serving()
        return {
            parts["on"]: links_view.on_html(lab),
            parts["links"]: links_view.links_html(lab),
            parts["deployments"]: links_view.deployments_html(lab),
            parts["off"]: gr.Button(visible=serving is not None),
            parts["funnel"]: gr.Accordion(visible=bool(serving and serving.beyond)),
        }

    @show_errors_at("make-link")
    def make(run: str, whom: str, what: str, hours: float, note: str) -> Updates:
        view = lab.view(run) if run else None
        if view is None or view.active or not view.made("adapter"):
            raise UserError("There is nothing to share yet.", "Let the run finish first.", code="nothing_to_share")
        found = lab.deploy(run)
        scope = {USE: "chat" if found.answers == "chat" else "classify"}.get(what, what)
        running = lab.serving()
        lab.serve(house=whom == HOUSE or bool(running and running.house))
        try:
            if whom == BEYOND and not (running and running.beyond):
                lab.share_beyond()
        except LabError as error:
            link = str(getattr(error, "link", ""))
            if not link:
                raise
            return {parts["given"]: draw("links", "click", error.problem.what, error.problem.todo, link), **state()}
        made, addresses = lab.link(found.id, scope, hours, note=note)
        return {parts["given"]: links_view.given_html(made, found, addresses), parts["note"]: "", **state()}

    @show_errors
    def show(run: str, what: str) -> Updates:
        view = lab.view(run) if run else None
        choices = _may(sees=lab.sees(run), has_page=bool(lab.page_of(run))) if view else _may()
        chosen = what if what in [key for _, key in choices] else USE
        return {parts["what"]: gr.Dropdown(choices, value=chosen), parts["given"]: "", **state()}

    _wire_links(lab, parts, seen, state)
    asked = [page.run, parts["whom"], parts["what"], parts["hours"], parts["note"]]
    outputs = [parts["given"], parts["note"], *seen]
    parts["make"].click(make, asked, outputs, trigger_mode="once")
    page.moment.change(show, [page.run, parts["what"]], [parts["what"], parts["given"], *seen], show_progress="hidden")
    parts["bell"].tick(show_errors(state), None, seen, show_progress="hidden")
    parts["whom"].input(lambda whom: paragraph(WHOM_WORDS[whom], "fine"), parts["whom"], parts["words"], show_progress="hidden")


def _wire_links(lab: Lab, parts: dict[str, Any], seen: list[Any], state: Any) -> None:
    """Close links, stop sharing, open and close the way to the internet."""
    sure: Question = parts["sure"]
    forgetting = gr.State("")

    @show_errors_at("open-links")
    def close(event: gr.EventData) -> Updates:
        verb, _, link = str(event.pick).partition(":")
        if verb == "close":
            lab.revoke(link)
        return {parts["given"]: "", **state()}  # where it is the one that was just made, it opens nothing any more

    @show_errors_at("deployments")
    def ask(event: gr.EventData) -> Updates:
        verb, _, name = str(event.pick).partition(":")
        found = lab.deployment(name) if verb == "forget" else None
        if found is None:
            return state()
        said = notice(f"Stop sharing “{found.title}”?", "All links to it are closed. The run itself stays.", "warning")
        return {forgetting: found.id, **sure.ask(said), **state()}

    @show_errors_at("deployments")
    def forget(deployment: str) -> Updates:
        lab.undeploy(deployment)
        return {sure.column: sure.hide(), **state()}

    @show_errors_at("sharing-off")
    def off() -> Updates:
        lab.stop_serving()
        return {parts["given"]: "", **state()}

    @show_errors_at("open-funnel")
    def funnel(typed: str) -> Updates:
        lab.share_beyond(funnel=typed.strip() or "nothing was typed")
        return {parts["typed"]: "", **state()}

    hidden: dict[str, Any] = {"show_progress": "hidden"}
    parts["links"].click(close, None, [parts["given"], *seen], **hidden)
    parts["deployments"].click(ask, None, [forgetting, sure.column, sure.words, *seen], **hidden)
    sure.yes.click(forget, forgetting, [sure.column, *seen], **hidden)
    parts["off"].click(off, None, [parts["given"], *seen])
    parts["open"].click(funnel, parts["typed"], [parts["typed"], *seen])
