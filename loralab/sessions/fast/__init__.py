"""Language models by hand: forward and backward of a frozen base with a LoRA adapter, written out for the processor.

`packing` lays rows side by side without padding, each distinct beginning once; `weights` gives a layer's matrices with the adapter in
them, in memory that stays; `attention` works on rows; `llama` and `gpt2` are the blocks; `bodies` says which of them a model is. The
result is the library's own, which is asked at the beginning: a model whose answer differs runs through the library's modules.
"""
