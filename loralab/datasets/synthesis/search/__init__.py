"""Owns what texts are about: a space of words (TF-IDF and SVD) for search and likeness, topics, and which topics have no rows yet."""
