"""The error that a user can mend."""


class UserError(ValueError):
    """A mistake in a command, a config or data; the command-line tools print its message alone."""
