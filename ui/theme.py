"""Owns the look: colours, type and the switch between light and dark.

Invariant: system fonts only; the page asks for nothing from outside.
"""

from __future__ import annotations

from pathlib import Path

from gradio.themes import Base

SHEETS = ("style.css", "pictures.css", "making.css", "sharing.css")
CSS = "".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in SHEETS)
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='9' fill='%230f766e'/%3E%3Cpath d='M9 7v18h8M17 15l7-6m-7 6 7 9' stroke='white'"
    " stroke-width='3' fill='none' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E"
)
# Gradio puts its own name before every selector of our style sheet; what stands outside of its page is styled here.
AROUND = (Path(__file__).parent / "around.css").read_text(encoding="utf-8")
HEAD = f'<link rel="icon" href="{ICON}"><meta name="color-scheme" content="light dark"><style>{AROUND}</style>'
OPENED_JS = """() => {
  lab.ready();
  if (window.innerWidth < 900) document.querySelector('#side.open .toggle-button')?.click();
  document.querySelector('#side .toggle-button')?.setAttribute('aria-label', 'Your runs');
  document.querySelector('#advisor .toggle-button')?.setAttribute('aria-label', 'Advisor');
}"""

# light, dark
PAPER = ("#f6f6f3", "#121514")
CARD = ("#ffffff", "#191d1c")
LINE = ("#e4e4de", "#2b312f")
INK = ("#1b211f", "#e7eae8")
QUIET = ("#5f6865", "#9aa5a1")
ACCENT = ("#0f766e", "#2dd4bf")
ACCENT_STRONG = ("#0b5d57", "#5eead4")
ON_ACCENT = ("#ffffff", "#06231f")
SOFT = ("#e6f2f0", "#16302d")

PAIRS = {  # Gradio's names for our colours
    "body_background_fill": PAPER,
    "body_text_color": INK,
    "body_text_color_subdued": QUIET,
    "background_fill_primary": CARD,
    "background_fill_secondary": PAPER,
    "border_color_primary": LINE,
    "border_color_accent": ACCENT,
    "block_background_fill": CARD,
    "block_border_color": LINE,
    "block_label_background_fill": CARD,
    "block_label_text_color": QUIET,
    "block_title_text_color": INK,
    "block_info_text_color": QUIET,
    "color_accent_soft": SOFT,
    "input_background_fill": CARD,
    "input_border_color": LINE,
    "input_border_color_focus": ACCENT,
    "link_text_color": ACCENT,
    "button_primary_background_fill": ACCENT,
    "button_primary_background_fill_hover": ACCENT_STRONG,
    "button_primary_text_color": ON_ACCENT,
    "button_secondary_background_fill": CARD,
    "button_secondary_background_fill_hover": SOFT,
    "button_secondary_border_color": LINE,
    "button_secondary_text_color": INK,
    "button_cancel_background_fill": CARD,
    "button_cancel_background_fill_hover": SOFT,
    "button_cancel_text_color": ("#b42318", "#ff9a8a"),
    "button_cancel_border_color": LINE,
    "checkbox_background_color_selected": ACCENT,
    "checkbox_border_color_selected": ACCENT,
    "checkbox_label_background_fill": CARD,
    "checkbox_label_background_fill_hover": SOFT,
    "checkbox_label_background_fill_selected": SOFT,
    "checkbox_label_border_color": LINE,
    "checkbox_label_border_color_selected": ACCENT,
    "checkbox_label_text_color_selected": INK,
    "table_even_background_fill": CARD,
    "table_odd_background_fill": CARD,
    "table_border_color": LINE,
    "loader_color": ACCENT,
    "slider_color": ACCENT,
}


def make_theme() -> Base:
    """Gradio's plainest theme in our colours; each pair is light and dark."""
    theme = Base(primary_hue="teal", neutral_hue="stone", font=SANS, font_mono=MONO, radius_size="lg", spacing_size="md", text_size="md")
    values = {name: light for name, (light, _) in PAIRS.items()} | {f"{name}_dark": dark for name, (_, dark) in PAIRS.items()}
    values |= {
        "color_accent": ACCENT[0],
        "block_shadow": "none",
        "shadow_drop": "none",
        "shadow_drop_lg": "none",
        "block_label_shadow": "none",
        "block_border_width": "0px",
    }
    values |= {
        "button_large_radius": "10px",
        "button_small_radius": "8px",
        "button_large_text_weight": "600",
        "input_border_width": "1px",
        "button_border_width": "1px",
    }
    return theme.set(**values)


def set_theme_js() -> str:
    """Browser code that puts a chosen look on; `auto` follows the system."""
    return """(look) => {
      const dark = look === 'dark' || (look !== 'light' && window.matchMedia('(prefers-color-scheme: dark)').matches);
      document.body.classList.toggle('dark', dark);
      document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
      lab.live?.repaint();  // the curve is drawn in the colours of its moment
    }"""
