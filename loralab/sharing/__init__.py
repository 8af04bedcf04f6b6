"""What was made, given to others: kept whole, published, shared. Invariant: nothing leaves this computer that a person did not choose."""
