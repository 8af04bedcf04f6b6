"""Owns what other programs watch and keep of runs: Prometheus' page, Grafana's dashboard, files for other trackers.

Invariant: a reader of run folders and nothing more: it writes into none, speaks for no run, and may die and begin again at any time.
"""
