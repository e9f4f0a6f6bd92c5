"""placeholder"""


def install() -> None:
    """Placeholder."""
