"""Which law to extrapolate a learning curve by, or why not to."""
