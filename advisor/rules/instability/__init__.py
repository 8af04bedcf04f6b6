"""Rules for training that runs away."""
