"""Owns writing GGUF, the file format of llama.cpp: families, tensors, tokenizers, number packing, LoRA adapters.

Invariant: a model that cannot be written so that it answers as trained is refused in words, before anything is written.
"""
