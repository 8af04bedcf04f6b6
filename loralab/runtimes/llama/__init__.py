"""Owns llama.cpp as a runtime. Invariant: it runs in a child process, always: a damaged file or a bad adapter makes it abort or segfault,
and that must end as a sentence.
"""
