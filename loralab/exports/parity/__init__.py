"""The parity gate: a finished export, loaded as others will load it, against what was trained."""
