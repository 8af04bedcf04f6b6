"""Bases that draw through the library diffusers, an optional part: Stable Diffusion 1.5 and XL, FLUX.2 klein."""
