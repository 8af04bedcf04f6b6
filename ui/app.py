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
from ui.idle import measuring
from ui.markup import markup
from ui.page import TABS, Page, go_to, shared_parts
from ui.runs.greeting import Greeting, greet, greeting
from ui.runs.runlist import machine_strip, run_list
from ui.settings import read_settings, remember
from ui.tabs.dataset import tab as dataset
from ui.tabs.evaluate import tab as evaluate
from ui.tabs.plan import tab as plan
from ui.tabs.share import tab as share
from ui.tabs.train import tab as train
from ui.theme import CSS, FOLD_SIDE_JS, HEAD, make_theme, set_theme_js
from ui.words import small_title

HOST = "127.0.0.1"
BUILD = {"dataset": dataset.build, "plan": plan.build, "train": train.build, "evaluate": evaluate.build, "share": share.build}
TITLES = {"dataset": "Dataset", "plan": "Plan", "train": "Train", "evaluate": "Evaluate", "share": "Share"}
LOGO = (
    '<svg viewBox="0 0 24 24" fill="none" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round">'
    '<path d="M4 4v16h6M12.5 12 20 6m-7.5 6L20 18"/></svg>'
)
BRAND = (
    f'<div class="brand"><span class="logo" aria-hidden="true">{LOGO}</span>'
    "<div><b>LoRALab</b><small>Teach a language model your examples</small></div></div>"
)


def build(lab: Lab) -> gr.Blocks:
    """The page over one workspace."""
    with gr.Blocks(title="LoRALab", analytics_enabled=False, fill_width=True) as demo:
        parts = shared_parts(lab)
        welcome: list[Greeting] = []
        with gr.Sidebar(width=264, elem_id="side"):
            markup(BRAND)
            side = gr.Column()
            theme = gr.Radio([("Auto", "auto"), ("Light", "light"), ("Dark", "dark")], label="Look", value="auto", elem_classes="looks")
        with gr.Tabs(elem_id="steps", overflow_behavior="wrap") as tabs:
            page = Page(**parts, tabs=tabs)
            for name in TABS:
                with gr.Tab(TITLES[name], id=name) as tab, gr.Column(elem_classes="sheet"):
                    if name == TABS[0]:
                        welcome.append(greeting(page))
                    BUILD[name](lab, page)
                tab.select(_remember_tab(page, name), None, page.tab, show_progress="hidden")
            with gr.Tab("Memory", id="memory", elem_id="memory-tab") as memory, gr.Column(elem_classes="sheet"):
                memory_page(page)
            memory.select(lambda: "memory", None, page.tab, show_progress="hidden")
        advisor_panel(page)
        markup(show_errors(lambda: machine_strip(page)), elem_id="machine")
        with side:
            markup(small_title("Your runs"))
            run_list(page)
            remembered = gr.Button("What I remember", size="sm", elem_id="side-memory", elem_classes="quiet")
            remembered.click(lambda: go_to("memory"), None, page.tabs, show_progress="hidden")
        _wire_page(demo, page, theme, welcome[0])
    return demo


def _remember_tab(page: Page, name: str) -> Any:
    @show_errors
    def seen() -> str:
        remember(page.lab.home, {"tab": name})
        return name

    return seen


def _wire_page(demo: gr.Blocks, page: Page, theme: gr.Radio, welcome: Greeting) -> None:
    """What happens when the page is opened, and the choice of light or dark."""
    measure = measuring(page.lab)

    @show_errors
    def attach() -> list[Any]:
        settings = read_settings(page.lab.home)
        rows = [row for row in page.lab.runs() if row.get("kind", "train") == "train"]
        active = next((row["id"] for row in rows if row.get("state") in ("waiting", "running")), "")
        lost, card = greet(page.lab)
        current = active or lost or next((row["id"] for row in rows if row["id"] == settings.run), rows[0]["id"] if rows else "")
        tab = "train" if active else settings.tab if current and not lost and settings.tab in TABS else "dataset"
        measure()
        turn, themed = tab != TABS[0], settings.theme != "auto"  # what is so already is left alone: a quick person may have changed it
        turned = [go_to(tab), tab] if turn else [gr.skip(), gr.skip()]
        return [current, *turned, settings.theme if themed else gr.skip(), *card]

    demo.load(attach, None, [page.run, page.tabs, page.tab, theme, *welcome.outputs], show_progress="hidden")
    demo.load(None, None, None, js=FOLD_SIDE_JS)
    theme.change(None, theme, None, js=set_theme_js())
    theme.input(show_errors(lambda theme: remember(page.lab.home, {"theme": theme})), theme, None, show_progress="hidden")


def web(lab: Lab, port: int, secret: str) -> Doors:
    """The page behind its doors, to be served on this port."""
    uploads = room("cache", lab.home) / "uploads"
    tidy(uploads, 0)  # those of earlier starts: what was dropped lies in the workspace by now
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        build(lab).queue(default_concurrency_limit=8, api_open=False),
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
    config = uvicorn.Config(
        web(lab, options.port, secret),
        log_level="warning",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,  # a page that is open holds a stream for as long as it is
    )
    uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
