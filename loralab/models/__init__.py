"""Base models: the catalogue, the Hub, downloads, folders, tokenizers and fingerprints."""
