"""What prepared data hold, as one page."""
