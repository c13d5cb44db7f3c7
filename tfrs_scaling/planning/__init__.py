"""What a study costs, before it is spent."""
