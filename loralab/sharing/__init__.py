"""What was made, given to others: answering under a link, published, kept whole. Invariant: nothing leaves this computer, and nobody gets
in, that a person did not choose. No torch here.
"""
