"""What ends a release."""


class Failure(Exception):
    """What a person has to know, in a sentence or two."""
