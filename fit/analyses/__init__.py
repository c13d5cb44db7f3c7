"""What a study says: one question a file, each a function from its points, laws or resamples to frozen records.

In every record ``low`` and ``high`` are the ends of an interval, None where an end is open or the noise is unknown, and
``words`` says the same as the other fields in a sentence.
"""
