"""Text that comes from outside and must not be taken for a command: by a terminal, or by a spreadsheet.

Belongs here: what either of them would obey, and the mark that keeps it from that. Does not belong here: files, tables,
quoting of CSV.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

# ---------------------------------------------------------------- terminals


def visible(text: str) -> str:
    r"""The text on one line, each character that does not print as Python writes it (`\x1b`, `\u202e`).

    None of C0, DEL and C1 is left, so no escape or OSC sequence begins anywhere; nor what turns the direction of a line
    round or takes no room, by which one text passes for another.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def as_json(value: Any) -> str:
    r"""The value as JSON on one line, exactly; each character that does not print is escaped (`\u202e`)."""
    text = json.dumps(value, ensure_ascii=False)
    # What does not print stands inside of strings only, where JSON may escape whatever it likes.
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


# ---------------------------------------------------------------- spreadsheets

_SIGNS: Final = "=+\\-@＝＋－＠"
"""Where a formula begins; Excel takes the wide forms for it too, where people write with those."""
_RUNS: Final = re.compile(rf"[\s\x00\"]*[{_SIGNS}]|[\t\r\n\x00']")
"""What a spreadsheet takes for the beginning of a formula, and the mark that keeps it from it."""
_RUNS_INSIDE: Final = re.compile(rf"([;\t\r\n][\s\x00\"]*)(?=[{_SIGNS}])")
"""Where a formula would begin for a spreadsheet that parts cells elsewhere: half of Europe does so at a semicolon, and
quotes do not keep it from that in the middle of what it takes for a cell."""


def safe_cell(text: str) -> str:
    """A text as a cell of a CSV that no spreadsheet runs: with an apostrophe before what would begin a formula.

    For texts alone: a number that is negative begins with a minus, and is one.
    """
    inside = _RUNS_INSIDE.sub(r"\1'", text)
    return f"'{inside}" if _RUNS.match(text) else inside


def bare_cell(text: str) -> str:
    """What stood in a cell before `safe_cell` put its mark at the beginning."""
    return text[1:] if text.startswith("'") and _RUNS.match(text, 1) else text
