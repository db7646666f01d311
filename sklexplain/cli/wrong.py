"""How the command says what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class WrongUsage(ValueError):
    """Options that are unknown, malformed or at odds with one another."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint where something known is like the name, else nothing.

    Examples
    --------
    >>> from sklexplain.cli.wrong import suggestion
    >>> suggestion("closs", ["open", "close"])
    " (did you mean 'close'?)"
    >>> suggestion("volume", ["open", "close"])
    ''
    """
    by_lower_case = {choice.lower(): choice for choice in known}
    found = get_close_matches(name.lower(), by_lower_case, n=1)
    return f" (did you mean {by_lower_case[found[0]]!r}?)" if found else ""


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return names with commas, and how many more there are.

    Examples
    --------
    >>> from sklexplain.cli.wrong import listed
    >>> listed(["open", "high", "low", "close"], most=2)
    'open, high, … (2 more)'
    """
    names = [str(name) for name in names]
    more = len(names) - most
    return ", ".join(names[:most]) + (f", … ({more} more)" if more > 0 else "")
