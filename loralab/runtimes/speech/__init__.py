"""A language model that speaks and weighs labels: llama.cpp in a process of its own, through llama-cpp-python or xllamacpp.

Invariants: never in the caller's process; never on the graphics card; whatever it does, the caller goes on.
"""
