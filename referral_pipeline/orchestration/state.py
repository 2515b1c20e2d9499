"""The state folder: who may read it, whose it is, and what may not start over it.

Belongs here: making the folder, and the two refusals that keep a run from touching what it must not: an environment
that nobody approved, and state that was made with other systems. Does not belong here: what lies in the folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from referral_pipeline.contract.models import Contract, System
from referral_pipeline.contract.problems import ContractError, Problem
from referral_pipeline.settings import Settings
from referral_pipeline.vocabulary import Side

SYSTEMS_FILE = "systems.json"


def state_folder(settings: Settings) -> Path:
    """The state folder, made when it is missing, for its owner only: raw and staging hold personal data."""
    folder = settings.state_dir
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def refuse_unapproved(contract: Contract, settings: Settings) -> None:
    """Refuse to run in production under a contract that nobody has approved.

    Raises:
        ContractError: the environment is production, and go-live is not approved for this contract, its stage map and
            its connectors.
    """
    if contract.environment == "sandbox":
        return
    from referral_pipeline.ledger.engine import resolve_url
    from referral_pipeline.ledger.store import Ledger
    from referral_pipeline.quality.go_live import approval_of

    approval = None
    url = resolve_url(contract.ledger.url, home=settings.home)
    if url.get_backend_name() != "sqlite" or Path(url.database or "").exists():  # a refusal makes no ledger
        with Ledger.open(contract.ledger.url, home=settings.home) as ledger:
            approval = approval_of(contract, ledger)
    if approval is not None and approval.approved:
        return
    found = "whose go-live was revoked" if approval is not None else "whose go-live has not been approved"
    raise ContractError(
        [
            Problem(
                "environment",
                f"found production, {found} for this contract, stage map and connectors; allowed: sandbox until it is",
                "Approve it in the sandbox and bring it here with `referral-pipeline go-live --import FILE`; `check`, "
                "`map` and `go-live` work before",
            )
        ]
    )


def refuse_other_systems(contract: Contract, settings: Settings) -> None:
    """Refuse state that was made with other systems: its links and cursors are true of those only.

    That keeps what a demonstration left, or a trial against a vendor's sandbox, from being taken for what the live
    systems hold.

    Raises:
        ContractError: the state belongs to other systems.
    """
    path = settings.state_dir / SYSTEMS_FILE
    made_with = _read(path)
    problems = [
        Problem(
            f"{side}.base_url",
            f"found {_named(system)}, but {path.parent} was made with {made_with[side]}; allowed: the same systems",
            "Move that folder away and start with an empty one, or, if only the address changed, write the new one in "
            f"its {SYSTEMS_FILE}",
        )
        for side, system in contract.systems().items()
        if made_with.get(side, _named(system)) != _named(system)
    ]
    if problems:
        raise ContractError(problems)


def remember_system(side: Side, contract: Contract, settings: Settings) -> None:
    """Write down whose records the state holds from now on, once something was pulled."""
    path = state_folder(settings) / SYSTEMS_FILE
    before = _read(path)
    now = {**before, side.value: _named(contract.systems()[side])}
    if before != now:
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
        beside.replace(path)


def _named(system: System) -> str:
    if not system.base_url:
        return f"{system.connector} {system.options.get('folder', '')}"
    parts = urlsplit(system.base_url)
    return f"{system.connector} {parts.scheme}://{parts.netloc.casefold()}{parts.path}"


def _read(path: Path) -> dict[str, str]:
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(k): str(v) for k, v in cast("dict[object, object]", found).items()} if isinstance(found, dict) else {}
