"""The README's runbook knows every alert that can be fired."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import referral_pipeline
from referral_pipeline.monitoring.messages import TITLES
from referral_pipeline.monitoring.runbook import RUNBOOK

PACKAGE = Path(referral_pipeline.__file__).parent
README = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
SHOWN_ONLY = {"rate_budget_left", "reconciliation_finds", "sync_latency_p50", "sync_latency_p99"}
"""Measures of health that are a warning at most, and so never sent."""


def fired() -> Iterator[tuple[str, str]]:
    """(file, name) of every alert whose name stands in the code."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Alert":
                name = next((one.value for one in call.keywords if one.arg == "name"), None) or call.args[0]
                if isinstance(name, ast.Constant):
                    yield path.name, str(name.value)
                elif isinstance(name, ast.Name) and name.id in constants:
                    yield path.name, str(constants[name.id])


def rows() -> dict[str, list[str]]:
    """The cells behind each name of the table of alerts."""
    table = README.split("| alert | it means | see more | mend |", 1)[1].split("\n\n", 1)[0]
    cells = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ") or "`" in line]
    return {name: [cell.strip() for cell in row[1:]] for row in cells for name in re.findall(r"`(\w+)`", row[0])}


def test_every_alert_of_the_code_has_its_title_and_its_row():
    names = {name for _, name in fired()} | {"breaker_open", "credential_refused"}  # one of two, by what happened
    assert len(names) >= 10
    assert names | {"heartbeat"} == set(TITLES)
    assert names <= rows().keys()


@pytest.mark.parametrize("measure", sorted(RUNBOOK.keys() - SHOWN_ONLY))
def test_every_measure_of_health_that_alerts_has_its_row(measure: str):
    assert measure in rows()


def test_every_row_says_what_it_means_how_to_see_more_and_how_to_mend():
    assert all(len(cells) == 3 and all(cells) for cells in rows().values())


def test_the_breaker_says_what_to_do_in_each_of_its_two_cases():
    mend = RUNBOOK["breaker"].mend
    for words in ("breaker_open: ", "status page", "credential_refused: ", "`referral-pipeline check`", "restart `up`"):
        assert words in mend


def test_every_command_that_the_runbook_names_exists():
    from referral_pipeline.cli import main

    cells = " ".join(cell for row in rows().values() for cell in row)
    named = set(re.findall(r"`(?:referral-pipeline )?([a-z][a-z-]+)(?: [^`]*)?`", cells))
    assert named - set(main.commands) <= {"refused", "reconciliation", "timedatectl"}
    assert len(named & set(main.commands)) >= 9
