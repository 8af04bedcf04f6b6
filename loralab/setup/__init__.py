"""Owns the way from a bare Python to a running app. Invariant: standard library only, because nothing else is installed yet.

launch.py -> commands -> opening (splash: the page until the app is up) -> steps (environment, machine, installer) -> first_model -> the app
"""
