"""Owns templates: recipes to begin with, those that come along and those a person saved or was given, found by describing a task.

Invariant: a template is data; nothing in one is run, and one that comes in is checked whole before it is kept.
"""
