"""The law of parameters and data together, and the split of a budget between the two."""
