"""Owns the language model of the advisor: llama.cpp in a child process of its own, through llama-cpp-python or xllamacpp.

Invariants: never in this process; never on the graphics card; whatever it does, the app goes on.
"""
