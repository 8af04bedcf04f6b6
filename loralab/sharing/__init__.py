"""What was made, given to others: kept whole, published, shared. Invariant: nothing leaves this computer that a person did not choose."""
"""Owns sharing what was trained: frozen deployments, links to them, the server that answers, and who can reach it. No torch here."""
