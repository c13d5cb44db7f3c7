"""The colours of the figures, each as a pair: on a light page and on a dark one.

After Okabe and Ito (2008): distinguishable with any colour vision, on white and on black.
"""

Colours = tuple[str, str]  # on a light page and on a dark one

BLUE: Colours = ("#0072b2", "#56b4e9")
VERMILION: Colours = ("#d55e00", "#e8853a")
GREEN: Colours = ("#009e73", "#2fc39a")
NEUTRAL: Colours = ("#333333", "#dddddd")
