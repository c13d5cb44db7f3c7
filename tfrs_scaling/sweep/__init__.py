"""Many trials: side by side, and on several machines."""
