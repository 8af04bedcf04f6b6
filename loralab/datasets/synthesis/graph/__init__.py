"""Owns the knowledge graph of documents: entities, and relations with the sentence and the span they stand in. Data; the app draws it."""
