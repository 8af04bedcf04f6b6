"""What `benchmarks/train.py` is made of. Modules that a peer's process opens import nothing of ours: its environment is not ours."""
