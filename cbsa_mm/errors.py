"""Errors that a user can mend."""


class UserError(ValueError):
    """A mistake in a command, a config or data; the command-line tools print its message alone."""


class DataError(UserError):
    """A file of a data set that is wrong; there may be more such files."""
