"""Owns the way from a bare Python to a running app. Invariant: standard library only, because nothing else is installed yet.

launch.py -> commands -> environment (+ pins, machine, installer) -> doorway (the page that turns into the app)
"""
