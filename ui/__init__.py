"""Owns the screen. Invariant: nothing in here owns work; runs live in their own processes and the page only looks at them.

Importing the package prepares the import of Gradio, so every module below may import it at its top without paying for it twice.
"""

from ui.quick_start import prepare_gradio

prepare_gradio()
