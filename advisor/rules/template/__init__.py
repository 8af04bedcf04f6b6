"""Rules for how examples are written for the model."""
