"""What is put on top of the features: one file per kind of answer."""
