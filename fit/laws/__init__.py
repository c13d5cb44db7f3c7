"""Curves through points: the law's functions, its fits with intervals, and what follows from one law."""
