"""`init`: writes a first contract and its .env.example.

Belongs here: checking the text and putting the two files in place. Does not belong here: the text (`scaffold`), asking
questions (`cli`).
"""

from __future__ import annotations

import os
from pathlib import Path

from referral_pipeline.contract.loader import parse_contract
from referral_pipeline.contract.problems import ContractError, Problem
from referral_pipeline.contract.scaffold import LOCAL_SANDBOX, Choices, env_example, integration_yaml, sandbox_contract
from referral_pipeline.contract.systems import connectors_of
from referral_pipeline.vocabulary import Side


def write_starter(choices: Choices, *, home: Path, overwrite: bool = False) -> list[Path]:
    """Write data/integration.yaml and .env.example under `home`. Returns the two paths.

    Raises:
        ContractError: a choice is refused (nothing is written), or a file is there already and `overwrite` is off. The
            untouched files of the local sandbox, as a clone has them, may be replaced: nobody wrote them.
    """
    _check_connectors(choices)
    text = integration_yaml(choices)
    parse_contract(text)
    files = {home / "data" / "integration.yaml": text, home / ".env.example": env_example(choices)}
    untouched = {sandbox_contract(), env_example(LOCAL_SANDBOX)}
    present = [path for path in files if path.exists() and path.read_text(encoding="utf-8") not in untouched]
    if present and not overwrite:
        raise ContractError(
            Problem(
                path.name,
                "found a file there; allowed: a new one",
                "Move it away, or write over it with --force",
            )
            for path in present
        )
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}.new")
        beside.write_text(content, encoding="utf-8", newline="\n")
        beside.replace(path)
    return list(files)


def _check_connectors(choices: Choices) -> None:
    chosen = ((Side.ADVOCACY, choices.advocacy), (Side.ATS, choices.ats), (Side.CRM, choices.crm))
    problems = [
        Problem(f"{side}.connector", f"found '{name}'; allowed: {', '.join(connectors_of(side))}", "Take one of these")
        for side, name in chosen
        if name is not None and name not in connectors_of(side)
    ]
    if problems:
        raise ContractError(problems)
