"""What settings are proposed: a prior from published sweeps, shrunk toward this machine's own runs, tried out in short trials.

Invariant: a proposal is a valid plan that no remembered failure rules out, and every number that came from past runs names them.
"""
