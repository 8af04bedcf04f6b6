"""The program that lies beside an exported model for pictures, in pieces: each runs without LoRALab, and predict.py is some of them joined.

Invariant: nothing here imports anything but numpy, Pillow and what the model itself needs; what is here is what people get.
"""
