"""Owns the fifth tab: where a result is to be used, what that costs, making it, and what was found of the file that was made.

Invariant: an export is a run of its own. The page only looks for it, so it is found again after a reload, and leaving does not end it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.lab import Lab, Offer
from ui.errors import show_errors, show_errors_at
from ui.markup import markup
from ui.opening import open_folder
from ui.page import Page, Updates
from ui.runs.saved_report import report_file, save_on_click
from ui.runs.work import live_line
from ui.shots import shots_of
from ui.tabs.share import import_adapter, links
from ui.tabs.share import view as view_of
from ui.tabs.share.gallery import draw_gallery
from ui.tabs.share.keep import draw_keep
from ui.tabs.share.publish import draw_publish
from ui.tabs.share.template import draw_template
from ui.words import heading, notice, paragraph

TAKE = "What was learned is yours. Say where you want to use it, and it is made ready for that, on this computer."
KEEP = "Everything about this run on one page: settings, curves, time, the verdict and examples."
WHERE, FORM = "Where do you want to use it?", "In which form?"
FIRST = view_of.DESTINATIONS[0]


def build(lab: Lab, page: Page) -> None:
    """Draw the tab and wire it."""
    parts: dict[str, Any] = {"work": gr.State("")}
    markup(heading("Take it with you", TAKE))
    parts["place"] = markup(view_of.NOT_YET, elem_id="place")
    with gr.Column(visible=False) as parts["ready"]:
        with gr.Column(elem_classes="card"):
            _draw_choices(parts)
        with gr.Column(visible=False, elem_classes="card", elem_id="made") as parts["made_card"]:
            _draw_made(parts)
        links.draw_links(lab, page)
        with gr.Column(elem_classes="card"):
            markup(heading("Its report", KEEP))
            with gr.Row(elem_classes="actions"):
                report = gr.Button("Save the run's report", scale=0, min_width=190, elem_id="save-run")
        with gr.Column(elem_classes="card"):
            draw_keep(page)
        with gr.Column(elem_classes="card"):
            draw_template(page)
        with gr.Accordion("Its card: what it was made from, how, and how good it is", open=False, elem_classes="fold"):
            parts["card"] = gr.Markdown("", elem_classes="model-card")
        draw_publish(page)
    import_adapter.draw(lab, page)
    draw_gallery(page)
    save_on_click(report, page, report_file("share-report"), "save-run")
    _wire(lab, page, parts)


def _draw_choices(parts: dict[str, Any]) -> None:
    markup(heading(WHERE))
    parts["destination"] = gr.Radio(
        view_of.destination_choices(), value=FIRST.key, label=WHERE, show_label=False, container=False, elem_classes="goals", elem_id="ways"
    )
    parts["words"] = markup(paragraph(FIRST.words, "lead"), elem_id="way-words")
    sizes = view_of.size_choices(FIRST.key)
    parts["size"] = gr.Radio(sizes, value=sizes[0][1], label=FORM, show_label=False, container=False, elem_classes="goals", elem_id="sizes")
    parts["cost"] = markup(elem_id="cost")
    parts["part"] = markup(elem_id="share-part")
    parts["install"] = gr.Checkbox(
        False, label="Also give it to Ollama on this computer", container=False, elem_id="install", visible=False
    )
    with gr.Row(elem_classes="actions"):
        parts["make"] = gr.Button("Make it", variant="primary", scale=0, min_width=180, elem_id="make-it")
        parts["stop"] = gr.Button("Cancel", scale=0, min_width=110, visible=False)
    parts["progress"] = markup(elem_id="making")


def _draw_made(parts: dict[str, Any]) -> None:
    parts["made"] = markup(elem_id="made-card")
    parts["check"] = markup(elem_id="share-check")
    with gr.Row(elem_classes="actions"):
        parts["open"] = gr.Button("Open the folder", scale=0, min_width=160, elem_id="open-made")
        parts["again"] = gr.Button("Check it again", scale=0, min_width=160, elem_id="check-again")
        parts["take"] = gr.DownloadButton("Download", visible=False, scale=0, min_width=160)
    parts["then"] = markup(elem_id="made-then")
    with gr.Accordion(view_of.LINES, open=False, visible=False, elem_classes="fold", elem_id="lines") as parts["lines"]:
        parts["guide"] = gr.Markdown("", elem_classes="model-card guide", elem_id="guide")


ACTED_ON = ("destination", "size", "open")  # parts that a run does not change by itself


def _wire(lab: Lab, page: Page, parts: dict[str, Any]) -> None:
    outputs = [part for name, part in parts.items() if name not in ACTED_ON]
    asked = [page.run, parts["destination"], parts["size"]]

    @show_errors
    def show(run: str, destination: str, size: str) -> Updates:
        return {parts[name]: update for name, update in _shown(page, run, destination, size).items()}

    @show_errors_at("ways")
    def turn(run: str, destination: str) -> Updates:
        """Another place: the first of its forms; a tick for another program does not come along."""
        choices = view_of.size_choices(destination, _offers(lab, run), sees=bool(run) and lab.sees(run))
        shown = _shown(page, run, destination, choices[0][1], turned=True)
        return {parts[name]: update for name, update in shown.items()} | {parts["size"]: gr.Radio(choices, value=choices[0][1])}

    @show_errors_at("make-it")
    def make(run: str, destination: str, size: str, install: bool) -> Updates:
        form, _, variant = size.partition(":")
        lab.export(run, form, variant, install=bool(install and view_of.BY_KEY[destination].program))
        return show(run, destination, size)

    @show_errors_at("make-it")
    def tick(run: str, destination: str, size: str, work: str) -> Updates:
        view = lab.view(work) if work else None
        if view is None or not view.active:
            return show(run, destination, size)
        return {parts["progress"]: live_line(view, lab.job(work).kind)}

    @show_errors
    def another(run: str, destination: str, size: str) -> Updates:
        """Another run, or this one has ended: the places and forms it is offered in; what was chosen stays where it is among them."""
        offers, sees = _offers(lab, run), bool(run) and lab.sees(run)
        places = view_of.destination_choices(offers)
        place = destination if destination in [key for _, key in places] else places[0][1]
        sizes = view_of.size_choices(place, offers, sees=sees)
        form = size if size in [key for _, key in sizes] else sizes[0][1]
        chosen: Updates = {}  # what stands may have been chosen anew meanwhile: it is left alone where it can be
        for part, choices, old, new in (("destination", places, destination, place), ("size", sizes, size, form)):
            chosen[parts[part]] = gr.Radio(choices) if new == old else gr.Radio(choices, value=new)
        return show(run, place, form) | chosen

    _wire_parts(page, parts, outputs, show)
    turned = [*outputs, parts["size"]]
    page.moment.change(another, asked, [*turned, parts["destination"]], show_progress="hidden")
    parts["destination"].input(turn, [page.run, parts["destination"]], turned, show_progress="hidden")
    parts["size"].input(show, asked, outputs, show_progress="hidden")
    parts["make"].click(make, [*asked, parts["install"]], outputs, show_progress="hidden", trigger_mode="once")
    page.work.change(tick, [*asked, parts["work"]], outputs, show_progress="hidden")
    _wire_made(lab, page, parts, outputs, show)


def _wire_made(lab: Lab, page: Page, parts: dict[str, Any], outputs: list[Any], show: Callable[[str, str, str], Updates]) -> None:
    """Stop what is being made; open what was, and check it again."""

    # a result that is gone takes its own buttons with it: that is said where it is made again
    @show_errors_at("make-it")
    def open_result(run: str, size: str) -> None:
        result = view_of.result_of(view_of.exports_of(lab, run).get(size))
        if not result:
            raise UserError("This folder is not there any more.", "Make it again.", code="gone")
        open_folder(lab.home, Path(str(result["folder"])))

    @show_errors_at("make-it")
    def again(run: str, destination: str, size: str) -> Updates:
        """Its checksums, then the whole comparison, as a work of its own."""
        export = view_of.exports_of(lab, run).get(size)
        if export is None or not view_of.result_of(export):
            raise UserError("This folder is not there any more.", "Make it again.", code="gone")
        lab.check_export(export.run)
        return show(run, destination, size)

    asked = [page.run, parts["destination"], parts["size"]]
    parts["again"].click(again, asked, outputs, show_progress="hidden", trigger_mode="once")
    parts["stop"].click(show_errors(lambda work: lab.stop(work) if work else None), parts["work"], None, show_progress="hidden")
    parts["open"].click(open_result, [page.run, parts["size"]], None, show_progress="hidden")


def _wire_parts(page: Page, parts: dict[str, Any], outputs: list[Any], show: Callable[[str, str, str], Updates]) -> None:
    """Let the cards of missing parts do what their buttons say."""

    @show_errors
    def supply(run: str, destination: str, size: str, event: gr.EventData) -> Iterator[Updates]:
        """Add the part that a form or its check waits for; then that goes on by itself."""
        verb, _, name = str(event.pick).partition(":")
        if verb == "cancel":
            page.extras.stopping.set()
            return
        for _ in page.extras.follow(name):
            yield {parts[place]: html for place, html in _supplies(page, page.lab, run, size).items()}
        if name not in page.extras.problems and view_of.part_here(page.lab, name):
            view_of.go_on(page.lab, run, size, name)
        yield show(run, destination, size)

    for place in (parts["part"], parts["check"]):
        place.click(supply, [page.run, parts["destination"], parts["size"]], outputs, show_progress="hidden", trigger_mode="multiple")


def _shown(page: Page, run: str, destination: str, size: str, *, turned: bool = False) -> dict[str, Any]:
    """Updates for the parts, by their names."""
    lab = page.lab
    view = lab.view(run) if run else None
    words = view_of.state_html(view)
    if words or view is None:
        return {"place": words, "ready": gr.Column(visible=False), "work": ""}
    exports = view_of.exports_of(lab, run)
    check = view_of.check_of(lab, exports.get(size))
    working = next((found for found in (*exports.values(), *([check] if check else [])) if found.active), None)
    offer = view_of.offer_for(lab.offers(run), size)
    program, result = view_of.BY_KEY[destination].program, view_of.result_of(exports.get(size))
    file = view_of.download_of(result)
    give, here = f"Also give it to {program} on this computer", bool(program and offer and offer.hand_over)
    good = bool(result) and view_of.parity_of(result).outcome != "differs"  # nobody is shown how to use what is not to be used
    then = view_of.BY_KEY[destination].then
    guide = view_of.guide_of(result, lab.job(run).model) if good else ""
    return {
        "place": view_of.warning_html(view) + shots_of(lab, run).warning() if lab.sees(run) else view_of.warning_html(view),
        "ready": gr.Column(visible=True),
        "words": paragraph(view_of.words_of(destination, sees=lab.sees(run)), "lead"),
        "cost": view_of.cost_html(offer, exports.get(size)),
        "install": gr.Checkbox(False, label=give, visible=here) if turned else gr.Checkbox(label=give, visible=here),
        **_supplies(page, lab, run, size),
        "make": gr.Button(
            "Make it again" if result else "Make it",
            interactive=bool(offer and not offer.problem and not working),
            variant="secondary" if good else "primary",
        ),
        "stop": gr.Button(visible=working is not None),
        "progress": live_line(working, lab.job(working.run).kind) if working else _ended_html(exports.get(size)) or _ended_html(check),
        "made_card": gr.Column(visible=bool(result)),
        "made": view_of.made_html(result),
        "again": gr.Button(interactive=working is None),
        "take": gr.DownloadButton(f"Download the {'zip' if file.endswith('.zip') else 'file'}", value=file or None, visible=bool(file)),
        "then": notice(then) if good and then else "",
        "lines": gr.Accordion(visible=bool(guide), open=not then) if turned else gr.Accordion(visible=bool(guide)),
        "guide": guide,
        "card": _card(lab.card(run)),
        "work": working.run if working else "",
    }


def _offers(lab: Lab, run: str) -> tuple[Offer, ...]:
    """What a run can be taken away in; nothing where there is no run, or it left nothing."""
    view = lab.view(run) if run else None
    return lab.offers(run) if view and not view.active and view.made("adapter") else ()


def _supplies(page: Page, lab: Lab, run: str, size: str) -> dict[str, str]:
    """The cards of the parts that making a form waits for, and its check; empty where nothing does."""
    offer = view_of.offer_for(lab.offers(run), size)
    export = view_of.exports_of(lab, run).get(size)
    wanted = {
        "part": (offer.problem.part if offer and offer.problem else "", "Make it"),
        "check": (view_of.waits_for(lab, export), "Check it"),
    }
    known = {part.name: part for part in lab.parts()}
    return {place: page.extras.card(known[name], doing) if name else "" for place, (name, doing) in wanted.items()}


def _ended_html(export: RunView | None) -> str:
    """Why the last one came to nothing; empty when it is there, or was never asked for."""
    if export is None or export.state == "finished":
        return ""
    said = export.ending
    if export.state == "stopped":
        return notice(said.what if said and said.what else "Cancelled. Nothing was changed.")
    return notice(said.what if said and said.what else "It was interrupted.", said.todo if said else "Make it again.", "error")


def _card(card: str) -> str:
    """A model card without its machine-read head."""
    return card.split("---", 2)[-1].strip() if card.startswith("---") else card
