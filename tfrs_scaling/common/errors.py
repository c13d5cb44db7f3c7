"""The error that a user can correct."""


class InputError(ValueError):
    """Input cannot be used; the message says what, where and what to do."""
