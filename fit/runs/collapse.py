"""When a network has learned nothing."""

COLLAPSED_NE = 0.9995  # no better than the background CTR
