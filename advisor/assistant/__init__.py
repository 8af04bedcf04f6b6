"""Owns how the advisor speaks. Invariants: rules decide and statistics size, a language model only words; everything here works without
a model; nothing a model wrote is shown unless the run's evidence bears it out.

Reading order: known (what there is to say about a run), templates (saying it without a model), evidence (what a model is given), figures
and checked (what of its words may be shown), speaker (the model in its own process), choosing (closed questions), voice (all of it).
"""
