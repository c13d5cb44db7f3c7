"""The error that a user can fix."""


class InputError(ValueError):
    """User input that cannot be used; the message says what, where and what to do."""
