"""What differs between kinds of training: how a model is loaded, batched, learned from and saved. Runs in a worker."""
