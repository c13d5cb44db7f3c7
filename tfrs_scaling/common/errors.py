"""The error that a user can mend."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, where and what to do."""
