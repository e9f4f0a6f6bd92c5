"""Names and texts that may be shown, and used as names of files' members."""

from __future__ import annotations

import unicodedata

MAX_NAME = 256
SEPARATORS = "/\\"
_LINES = "\n\t"
_ORDER = {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}
"""Characters that change the order in which others are shown."""


def name_problem(name: object) -> str | None:
    r"""Why something must not be called so, or None.

    Names come from files and reach terminals, tables, and the members of archives.

    Example:
        >>> name_problem("conv0"), name_problem("../x")
        (None, "must not hold / or \\, got '../x'")
        >>> name_problem("a\x1b[2J")
        "must consist of printable characters, got 'a\\x1b[2J'"
    """
    if not isinstance(name, str):
        return f"must be a text, got {type(name).__name__}"
    if not 1 <= len(name) <= MAX_NAME:
        return f"must have 1 to {MAX_NAME} characters, got {len(name)}"
    if not name.isprintable():
        return f"must consist of printable characters, got {name!r}"
    if any(separator in name for separator in SEPARATORS):
        return f"must not hold / or \\, got {name!r}"
    return f"must not consist of dots, got {name!r}" if not name.strip(".") else None


def text_problem(text: str) -> str | None:
    r"""Why a text must not be shown, or None: characters that steer terminals, or reorder what stands beside them.

    Example:
        >>> text_problem("two\nlines"), text_problem("\x1b[2J")
        (None, "holds the control character '\\x1b'")
        >>> text_problem("\ud800")
        "holds the control character '\\ud800'"
    """
    if text.isascii() and text.isprintable():
        return None
    for character in text:
        if character in _ORDER or (unicodedata.category(character) in {"Cc", "Cs"} and character not in _LINES):
            return f"holds the control character {character!r}"
    return None
