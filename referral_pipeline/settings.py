"""Where things are on this machine, and the secrets: everything that comes from the environment.

Belongs here: paths, URL overrides, and the one function that reads a secret. Does not belong here: what the integration
does (that is the contract), defaults of a vendor, writing any file.

A variable of the process wins over the same name in `.env` of the home folder. An empty value counts as not set.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "REFERRAL_PIPELINE_"
CONTRACT_TOLD = f"{PREFIX}CONTRACT_TOLD"
"""Set for the processes of a command that has said already that no contract file is there."""


class MissingSecret(Exception):
    """A secret that the contract names is not set. Carries the variable's name and the mend, never a value."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.mend = f"Export {key}, or write it in the file .env of the home folder (see .env.example)."
        super().__init__(f"{key}: is not set. {self.mend}")


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """Addresses or networks out of a text, comma separated; never "everybody"."""
    names = [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value
    for name in names:
        try:
            network = ipaddress.ip_network(name)
        except ValueError:
            raise ValueError("must be addresses or networks of proxies, comma separated") from None
        if not network.prefixlen:
            told = f"{PREFIX}TRUSTED_PROXIES holds a network of everybody (prefix length 0)"
            raise ValueError(f"{told}: name those of your own proxies")
    return tuple(names)


_Url = Annotated[str | None, BeforeValidator(_trimmed)]


class Settings(BaseSettings):
    """What the environment says. Frozen; made by `load_settings`.

    `home` is the folder against which relative paths and URLs of the contract are resolved. `key` holds Fernet keys,
    comma separated, of which the first encrypts; `hash_key` is for keyed hashes; `approval_key` signs what go-live
    exports. `ui_url` is where people open the Dagster UI, `receiver_url` where outside systems
    reach the receiver of webhooks; the other `*_url` fields override the contract's URLs.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        env_file_encoding="utf-8-sig",  # Notepad writes a byte order mark
        extra="ignore",  # .env holds the vendors' secrets too
        frozen=True,
        hide_input_in_errors=True,
    )

    home: Annotated[Path, AfterValidator(_absolute)] = Field(default_factory=Path.cwd, validate_default=True)
    config: Path | None = None
    key: SecretStr | None = None
    hash_key: SecretStr | None = None
    approval_key: SecretStr | None = None
    advocacy_base_url: _Url = None
    advocacy_auth_url: _Url = None
    ats_base_url: _Url = None
    ats_auth_url: _Url = None
    crm_base_url: _Url = None
    crm_auth_url: _Url = None
    ui_url: _Url = None
    receiver_url: _Url = None
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = ()
    """Addresses of proxies before the receiver, whose `X-Forwarded-For` is believed; of any other it is not."""

    @property
    def config_path(self) -> Path:
        """The contract's file: `config` (relative to `home`), else data/integration.yaml."""
        return self.home / (self.config.expanduser() if self.config else Path("data", "integration.yaml"))

    @property
    def state_dir(self) -> Path:
        """Where the ledger, the warehouse and Dagster keep their state."""
        return self.home / "data" / "state"

    @property
    def published_dir(self) -> Path:
        """Where readers find published tables and reports."""
        return self.home / "data" / "published"

    def secret(self, env_name: str) -> str:
        """The value of an environment variable, or of the same name in `.env` of the home folder.

        Read at every call, so that a rotated secret is seen without a restart of what asks again.

        Raises:
            MissingSecret: it is not set, or empty.
        """
        value = os.environ.get(env_name) or _dotenv(self.home).get(env_name)
        if not value:
            raise MissingSecret(env_name)
        return value


def load_settings(home: Path | str | None = None) -> Settings:
    """Read the environment and `.env` of the home folder.

    That is `home`, else REFERRAL_PIPELINE_HOME, else the current folder.
    """
    home = _absolute(Path(home or os.environ.get(f"{PREFIX}HOME") or Path.cwd()))
    # A home written in its own .env would point away from the file that is being read: the argument wins over it.
    return Settings(_env_file=home / ".env", home=home)  # pyright: ignore[reportCallIssue]


def _dotenv(home: Path) -> dict[str, str | None]:
    path = home / ".env"
    # No interpolation: a secret may hold a dollar sign and braces.
    return dotenv_values(path, encoding="utf-8-sig", interpolate=False) if path.is_file() else {}
