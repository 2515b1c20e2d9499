"""What is wrong with a contract, said in one line each.

Belongs here: the `Problem` record, the error that carries all of them, and the words used to describe a value without
showing a secret. Does not belong here: deciding what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic_core import PydanticCustomError

_WORD = re.compile(r"\w[\w .:%+-]{0,39}")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its key (dotted path, or a variable's name), what was found and is allowed, the mend."""

    key: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}. {self.mend}".rstrip()

    def as_json(self) -> dict[str, str]:
        """The form that `check --json` prints."""
        return {"key": self.key, "problem": self.problem, "mend": self.mend}


class ContractError(Exception):
    """The contract is refused. `problems` holds every reason, in the order of the file's sections."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def refuse(problem: str, mend: str) -> PydanticCustomError:
    """The error that a validator raises; `explain` in the loader turns it into a `Problem` at the right key."""
    return PydanticCustomError("refused", "{problem}. {mend}", {"problem": problem, "mend": mend})


def shown(value: Any, *, private: bool = False) -> str:
    """A value in words that fit one line: short words and numbers as they are, all else by its shape.

    `private` values (names of secrets, addresses, connection strings) are described by shape only: somebody may have
    pasted the secret itself.
    """
    if value is None:
        return "nothing"
    if isinstance(value, str):
        if not value.strip():
            return "an empty text"
        return f"'{value}'" if not private and _WORD.fullmatch(value) else f"a text of {len(value)} characters"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return f"a section of {len(value)} keys" if value else "an empty section"
    if private:
        return "a number" if isinstance(value, int | float) and not isinstance(value, bool) else "no text"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if len(str(value)) <= 40 else f"a number of {len(str(value))} characters"


def close_match(found: object, allowed: Sequence[str]) -> str | None:
    """The allowed word that was probably meant, or None."""
    if not isinstance(found, str):
        return None
    by_folded = {word.casefold(): word for word in allowed}
    near = get_close_matches(found.strip().casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def listed(words: Iterable[str]) -> str:
    """Words as they are named in a message: `a, b, c`."""
    return ", ".join(words)


def one_line(text: str) -> str:
    """Text with every line break and control character replaced by a space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
