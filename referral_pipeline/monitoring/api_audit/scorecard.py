"""What a vendor says that its system can do, against what was found; and two systems beside each other.

Belongs here: reading claims, holding them against an audit, the two tables. Does not belong here: auditing (`audit`),
terminals and files (cli_scorecard).

A claim is a standing that somebody wrote down before buying: covered, partial or missing. What no audit could verify
proves nothing and counts in no score. Of two systems only lines that both audits have can be compared one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from referral_pipeline.connectors.capabilities import Standing
from referral_pipeline.monitoring.api_audit.words import cell, table_row

_WEIGHT = {Standing.MISSING: 0, Standing.PARTIAL: 1, Standing.COVERED: 2}


class ClaimsError(Exception):
    """The file of claims cannot be used: the message names the key, what was found, and the mend."""


class Claims(BaseModel):
    """A file of claims: of which system, where they are from, and each capability by the name of its line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1, le=1)
    system: str = Field(min_length=1, max_length=60)
    source: str = Field(default="", max_length=200)
    claims: dict[str, Standing] = Field(min_length=1)


class Verdict(StrEnum):
    """What became of a claim."""

    HOLDS = "holds"
    OVERSTATED = "overstated"  # less is there than was said
    UNDERSTATED = "understated"  # more is
    NOT_VERIFIED = "not verified"
    UNKNOWN = "no such line"


@dataclass(frozen=True)
class Claim:
    """One claim with what was found; `found`, `evidence` and `consequence` are empty where no line has its name."""

    name: str
    title: str
    claimed: Standing
    found: str
    verdict: Verdict
    needed: bool
    evidence: str
    consequence: str


@dataclass(frozen=True)
class Scorecard:
    """Every claim, those first that fail where it matters, and what nobody claimed although it is needed."""

    system: str
    source: str
    claims: tuple[Claim, ...]
    unclaimed: tuple[str, ...]

    @property
    def verified(self) -> int:
        """How many claims could be held against something."""
        return sum(one.verdict not in (Verdict.NOT_VERIFIED, Verdict.UNKNOWN) for one in self.claims)

    @property
    def holding(self) -> int:
        """How many of these are true, or say less than is there."""
        return sum(one.verdict in (Verdict.HOLDS, Verdict.UNDERSTATED) for one in self.claims)

    @property
    def broken(self) -> tuple[Claim, ...]:
        """Claims that are not true of what a phase in use needs."""
        return tuple(one for one in self.claims if one.needed and one.verdict is Verdict.OVERSTATED)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "system": self.system,
            "source": self.source,
            "verified": self.verified,
            "holding": self.holding,
            "broken": [one.name for one in self.broken],
            "unclaimed": list(self.unclaimed),
            "claims": [
                {**vars(one), "claimed": one.claimed.value, "verdict": one.verdict.value} for one in self.claims
            ],
        }


def read_claims(text: str) -> Claims:
    """Read a file of claims.

    Raises:
        ClaimsError: it is no YAML, a key is unknown or missing, or a standing is none that can be claimed.
    """
    try:
        found = Claims.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise ClaimsError(f"the file is not valid YAML{where}. Mend that line, or begin with --template") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ClaimsError(f"{key}: {first['msg']}. Begin with --template to see what may stand there") from None
    if wrong := [name for name, standing in found.claims.items() if standing is Standing.NOT_VERIFIED]:
        raise ClaimsError(f"claims.{wrong[0]}: found not verified; allowed: covered, partial, missing. Leave it out")
    return found


def template(facts: Mapping[str, Any], system: str) -> str:
    """A file of claims to fill in, with every line that the audit of this system has.

    Raises:
        ClaimsError: the audit knows no such system.
    """
    lines = _lines_of(facts, system)
    head = {"version": 1, "system": system, "source": "where the claims are from, such as an answer to a tender"}
    asked = [f"  {one['name']}: covered  # {one['title']}{' (needed)' if one['needed'] else ''}" for one in lines]
    note = "# covered, partial or missing, as the vendor says; leave out what it says nothing of.\n"
    return note + yaml.safe_dump(head, sort_keys=False) + "claims:\n" + "\n".join(asked) + "\n"


def score(claims: Claims, facts: Mapping[str, Any]) -> Scorecard:
    """Hold claims against the facts of an audit.

    Raises:
        ClaimsError: the audit knows no such system.
    """
    lines = {one["name"]: one for one in _lines_of(facts, claims.system)}
    found = [_held(name, claimed, lines.get(name)) for name, claimed in claims.claims.items()]
    order = list(Verdict)
    found.sort(key=lambda one: (one.verdict is not Verdict.OVERSTATED, not one.needed, order.index(one.verdict)))
    needed = (one["name"] for one in lines.values() if one["needed"] and one["standing"] != Standing.COVERED)
    unclaimed = tuple(name for name in needed if name not in claims.claims)
    return Scorecard(claims.system, claims.source, tuple(found), unclaimed)


def _held(name: str, claimed: Standing, line: Mapping[str, Any] | None) -> Claim:
    if line is None:
        return Claim(name, name, claimed, "", Verdict.UNKNOWN, needed=False, evidence="", consequence="")
    standing = Standing(line["standing"])
    if standing is Standing.NOT_VERIFIED:
        verdict = Verdict.NOT_VERIFIED
    elif _WEIGHT[standing] == _WEIGHT[claimed]:
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.OVERSTATED if _WEIGHT[standing] < _WEIGHT[claimed] else Verdict.UNDERSTATED
    return Claim(
        name, line["title"], claimed, standing.value, verdict, line["needed"], line["evidence"], line["consequence"]
    )


def _lines_of(facts: Mapping[str, Any], system: str) -> list[Mapping[str, Any]]:
    lines = [one for one in facts["lines"] if one["system"] == system]
    if not lines:
        known = ", ".join(dict.fromkeys(str(one["system"]) for one in facts["lines"])) or "none"
        raise ClaimsError(f"system: found {system}; the audit knows: {known}. Audit it first, or correct the name")
    return lines


# ---------------------------------------------------------------- two systems beside each other


@dataclass(frozen=True)
class Row:
    """A capability of two systems; an empty standing where an audit has no such line."""

    title: str
    needed: bool
    left: str
    right: str
    better: str
    """`left`, `right`, or empty where neither is, or nobody knows."""


@dataclass(frozen=True)
class SideBySide:
    """Two systems of one side, line by line, those first where they differ."""

    left: str
    right: str
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {"left": self.left, "right": self.right, "rows": [vars(row) for row in self.rows]}


def beside(left: Mapping[str, Any], right: Mapping[str, Any], side: str) -> SideBySide:
    """The systems of one side (ats or advocacy) of two audits.

    Raises:
        ClaimsError: one of the audits has no system of that side.
    """
    of_left, of_right = _of_side(left, side), _of_side(right, side)
    names = list(dict.fromkeys([*of_left, *of_right]))
    rows = [_row(of_left.get(name), of_right.get(name)) for name in names]
    rows.sort(key=lambda row: (not row.better, not row.needed))
    return SideBySide(_system_of(of_left), _system_of(of_right), tuple(rows))


def _of_side(facts: Mapping[str, Any], side: str) -> dict[str, Mapping[str, Any]]:
    lines = {str(one["name"]): one for one in facts["lines"] if one["side"] == side}
    if not lines:
        raise ClaimsError(f"an audit has no system of the side {side}. Take one that `audit-api --out` has written")
    return lines


def _system_of(lines: Mapping[str, Mapping[str, Any]]) -> str:
    return str(next(iter(lines.values()))["system"])


def _row(left: Mapping[str, Any] | None, right: Mapping[str, Any] | None) -> Row:
    one = left or right
    assert one is not None
    found = ["" if line is None else str(line["standing"]) for line in (left, right)]
    weights = [_WEIGHT.get(Standing(word)) if word else None for word in found]
    better = ""
    if weights[0] is not None and weights[1] is not None and weights[0] != weights[1]:
        better = "left" if weights[0] > weights[1] else "right"
    needed = any(line is not None and line["needed"] for line in (left, right))
    return Row(str(one["title"]), needed, found[0], found[1], better)


# ---------------------------------------------------------------- in writing


def scorecard_markdown(card: Scorecard) -> str:
    """The scorecard as a document."""
    head = [
        f"# Claims for {card.system}",
        "",
        *([f"From: {cell(card.source)}.", ""] if card.source else []),
        f"{card.holding} of {card.verified} claims that could be verified hold; "
        f"{len(card.claims) - card.verified} could not be. Lines marked * are needed by a phase in use.",
        "",
        "| capability | claimed | found | verdict | evidence | what follows |",
        "|---|---|---|---|---|---|",
    ]
    rows = (
        (f"{one.title}{' *' if one.needed else ''}", one.claimed, one.found, one.verdict, one.evidence, one.consequence)
        for one in card.claims
    )
    return "\n".join([*head, *map(table_row, rows), *_unclaimed(card), ""])


def _unclaimed(card: Scorecard) -> Iterator[str]:
    if card.unclaimed:
        yield from ("", f"Needed, not covered, and nothing claimed of it: {', '.join(card.unclaimed)}.")


def beside_markdown(both: SideBySide) -> str:
    """The comparison as a document."""
    head = [
        f"# {both.left} and {both.right}",
        "",
        "Lines marked * are needed by a phase in use. Nothing is said of a line that one of the two audits has not.",
        "",
        f"| capability | {cell(both.left)} | {cell(both.right)} | does more |",
        "|---|---|---|---|",
    ]
    names = {"left": both.left, "right": both.right, "": ""}
    rows = (
        (f"{row.title}{' *' if row.needed else ''}", row.left or "-", row.right or "-", names[row.better])
        for row in both.rows
    )
    return "\n".join([*head, *map(table_row, rows), ""])
