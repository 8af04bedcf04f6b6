"""A whole run as one zip: packed here, opened elsewhere as the same run.

Invariant: nothing of this computer's folders is in it, and nothing of it is believed before its checksums are right.
"""
