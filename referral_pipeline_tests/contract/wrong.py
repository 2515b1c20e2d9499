"""Contracts that are wrong in one stated way, made from the local sandbox's by replacing text."""

from __future__ import annotations

import pytest

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.problems import ContractError, Problem
from referral_pipeline.contract.scaffold import Choices, integration_yaml, sandbox_contract

PRODUCTION = integration_yaml(Choices(environment="production"))


def changed(*replacements: tuple[str, str], text: str | None = None) -> str:
    """The contract with texts replaced; each must be there exactly once, so that a test cannot test nothing."""
    text = sandbox_contract() if text is None else text
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} comes {text.count(old)} times"
        text = text.replace(old, new)
    return text


def problems_of(text: str, **overrides: str) -> list[Problem]:
    with pytest.raises(ContractError) as refused:
        parse_contract(text, overrides=overrides)
    for problem in refused.value.problems:
        line = str(problem)
        assert line.isprintable()
        assert len(line) < 700
        assert problem.mend
        assert "found" in problem.problem or "not valid YAML" in problem.problem
        assert "allowed" in problem.problem or "not valid YAML" in problem.problem
    return refused.value.problems


def the_problem(text: str, **overrides: str) -> Problem:
    problems = problems_of(text, **overrides)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]
