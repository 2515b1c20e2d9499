"""One line for whoever runs a command where there is no contract file: which contract holds then.

Belongs here: which commands say it, and the words. Does not belong here: finding and reading the contract (contract).

It is said on standard error, after the arguments were understood and before the command does anything, and once: what
`up` starts does not say it again.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import click

_WITHOUT_INSTALLATION = frozenset({"demo", "sandbox", "init", "resolve"})


def tell_which_contract(main: click.Group) -> None:
    """Let each command that works on an installation say so where there is no contract file."""
    for name, command in main.commands.items():
        if name not in _WITHOUT_INSTALLATION:
            _let_tell(command)


def _let_tell(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _let_tell(each)
        if not command.invoke_without_command:
            return
    if command.callback is not None:
        command.callback = _telling(command.callback)


def _telling(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def told(*args: Any, **kwargs: Any) -> Any:
        brings_its_own = bool(kwargs.get("with_sandbox"))  # up --sandbox
        if not brings_its_own and click.get_current_context().invoked_subcommand is None:
            _tell()
        return callback(*args, **kwargs)

    return told


def _tell() -> None:
    from referral_pipeline.contract.loader import is_of_sandbox
    from referral_pipeline.settings import CONTRACT_TOLD, load_settings

    settings = load_settings()
    if not is_of_sandbox(settings) or os.environ.get(CONTRACT_TOLD):
        return
    click.echo(
        f"No contract file: the contract of the local sandbox is used. One is looked for at {settings.config_path}; "
        "`referral-pipeline init` writes it.",
        err=True,
    )
