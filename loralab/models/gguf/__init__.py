"""Owns the way from a GGUF file to a model folder: header (what the file says), families (its settings), tokenizer, unfold (the folder).

Invariant: a file that LoRALab does not know in every part is refused before anything is written; no torch.
"""
