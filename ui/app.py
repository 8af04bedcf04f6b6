"""Owns the page as a whole: the five tabs in their order, the runs at the side, the machine at the bottom, and the server on loopback.

    python -m ui.app --port 7860 --home FOLDER

The environment may hold LORALAB_SECRET, which whoever opens the page has to know; without it one is made, and the link printed.
Invariant: the process never imports torch, binds to loopback only, answers only at its doors (doors.py) and sends nothing anywhere.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from loralab.core.paths import room
from loralab.lab import Lab
from ui.advisor.memory_page import memory_page
from ui.advisor.panel import advisor_panel
from ui.doors import MAX_UPLOAD, Doors, tidy
from ui.errors import LOG, show_errors, write_log
from ui.extras import answer_clicks
from ui.idle import measuring
from ui.markup import draw, markup
from ui.page import TABS, Page, shared_parts
from ui.runs.greeting import Greeting, greet, greeting
from ui.runs.runlist import machine_strip, run_list
from ui.served import Served, calmed
from ui.settings import read_settings, remember
from ui.tabs.dataset import tab as dataset
from ui.tabs.evaluate import tab as evaluate
from ui.tabs.plan import tab as plan
from ui.tabs.share import tab as share
from ui.tabs.train import tab as train
from ui.theme import CSS, HEAD, OPENED_JS, make_theme, set_theme_js
from ui.wires import go_to, go_to_js
from ui.words import small_title

HOST = "127.0.0.1"
BUILD = {"dataset": dataset.build, "plan": plan.build, "train": train.build, "evaluate": evaluate.build, "share": share.build}
TITLES = {"dataset": "Dataset", "plan": "Plan", "train": "Train", "evaluate": "Evaluate", "share": "Share"}


def build(lab: Lab) -> gr.Blocks:
    """The page over one workspace."""
    with gr.Blocks(title="LoRALab", analytics_enabled=False, fill_width=True) as demo:
        parts = shared_parts(lab)
        welcome: list[Greeting] = []
        with gr.Sidebar(width=264, elem_id="side"):
            markup(draw("frame", "brand", "LoRALab", "Teach a model your examples"))
            side = gr.Column()
            theme = gr.Radio([("Auto", "auto"), ("Light", "light"), ("Dark", "dark")], label="Look", value="auto", elem_classes="looks")
        page = Page(**parts)
        markup(draw("frame", "tabs", TITLES), elem_id="steps")
        for name in TABS:
            with gr.Column(elem_id=f"panel-{name}", elem_classes="tab-panel sheet"):
                if name == TABS[0]:
                    welcome.append(greeting(page))
                BUILD[name](lab, page)
        with gr.Column(elem_id="panel-memory", elem_classes="tab-panel sheet"):
            memory_page(page)
        advisor_panel(page)
        strip = markup(show_errors(lambda: machine_strip(page)), elem_id="machine")
        answer_clicks(strip, page.extras, lambda: machine_strip(page, shown=True))
        with side:
            markup(small_title("Your runs"))
            run_list(page)
            remembered = gr.Button("What I remember", size="sm", elem_id="side-memory", elem_classes="quiet")
            remembered.click(None, None, None, js=go_to_js("memory"))
            markup(draw("frame", "quit"))
        _wire_page(demo, page, theme, welcome[0])
    return demo


def _wire_page(demo: gr.Blocks, page: Page, theme: gr.Radio, welcome: Greeting) -> None:
    """What happens when the page is opened, and the choice of light or dark."""
    measure = measuring(page.lab)

    @show_errors
    def attach(request: gr.Request) -> list[Any]:
        settings, asked = read_settings(page.lab.home), request.query_params
        rows = [row for row in page.lab.runs() if row.get("kind", "train") == "train"]
        active = next((row["id"] for row in rows if row.get("state") in ("waiting", "running")), "")
        lost, card = greet(page.lab)
        known = {row["id"] for row in rows}
        named = next((run for run in (asked.get("run", ""), active, lost, settings.run) if run in known), "")
        current = named or (rows[0]["id"] if rows else "")
        measure()
        # what is so already is left alone: a quick person may have changed it
        turn = go_to("train") if active and not asked.get("tab") else gr.skip()
        return [current, turn, settings.theme if settings.theme != "auto" else gr.skip(), *card]

    demo.load(attach, None, [page.run, page.tabs, theme, *welcome.outputs], show_progress="hidden")
    demo.load(None, None, None, js=OPENED_JS)
    theme.change(None, theme, None, js=set_theme_js())
    theme.input(show_errors(lambda theme: remember(page.lab.home, {"theme": theme})), theme, None, show_progress="hidden")


def web(lab: Lab, port: int, secret: str, served: Served | None = None) -> Doors:
    """The page behind its doors, to be served on this port. `served`: what stands beside it, where somebody else knows it, too."""
    uploads = room("cache", lab.home) / "uploads"
    tidy(uploads, 0)  # those of earlier starts: what was dropped lies in the workspace by now
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    ours = FastAPI(openapi_url=None)
    (served or Served(lab)).add_to(ours)
    app = gr.mount_gradio_app(
        ours,
        calmed(build(lab).queue(default_concurrency_limit=8, api_open=False)),
        path="/",
        server_name=HOST,
        server_port=port,
        footer_links=[],
        run_history=False,
        allowed_paths=[str(room("exports", lab.home))],
        theme=make_theme(),
        css=CSS,
        head=HEAD,
        ssr_mode=False,
        enable_monitoring=False,
        max_file_size=MAX_UPLOAD,
    )
    return Doors(app, port=port, secret=secret, uploads=uploads)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the app until it is ended. Returns 1 with a sentence in app.log when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m ui.app", description="The LoRALab app, on this computer only.")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--home", type=Path, default=None, help="workspace folder")
    options = parser.parse_args(argv)
    secret = os.environ.pop("LORALAB_SECRET", "")  # not for the processes that the app starts
    lab = Lab(options.home)
    os.environ["LORALAB_HOME"] = str(lab.home)
    write_log(lab.home)
    try:
        listener = socket.create_server((HOST, options.port))
    except OSError as error:
        LOG.error("The app could not start on port %s: %s", options.port, error)
        return 1
    if not secret:  # nobody who started us knows it yet
        secret = secrets.token_urlsafe(32)
        sys.stdout.write(f"http://{HOST}:{options.port}/?key={secret}\n")
        sys.stdout.flush()
    served = Served(lab)
    config = uvicorn.Config(
        web(lab, options.port, secret, served),
        log_level="warning",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,  # a page that is open holds a stream for as long as it is
    )
    server = uvicorn.Server(config)
    served.end = partial(setattr, server, "should_exit", True)
    served.tending.begin()
    server.run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
