"""Owns judging pictures: kinds, masks and boxes on pictures it never saw, in numpy alone.

`verdict` judges, `seen` says what it is given; `classes`, `masks` and `boxes` are the measures, `intervals` how sure they are.
"""
