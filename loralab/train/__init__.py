"""The training room: the only place that imports torch, transformers and peft, and only ever inside a worker process."""
