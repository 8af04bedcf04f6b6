"""The words that are made without a model: the story of a run, answers to common questions, notes for its charts.

Invariants: each number comes from the run's log; short sentences and common words, so that a twelve-year-old can follow (a test counts);
the same run gives the same words.
"""
