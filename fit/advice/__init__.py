"""What to do with a budget."""
