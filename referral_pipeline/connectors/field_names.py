"""The names under which an ATS keeps the integration's own fields: the eight that are known, and those that are mapped.

Belongs here: completing and checking `options.custom_fields`. Does not belong here: what a vendor calls a field (its
connector), what is mapped (the contract).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationInfo

MAPPED = "mapped"
"""The key of the validation context that holds the names that the contract's mappings write."""


def completed(
    given: Mapping[str, str],
    default: Mapping[str, str],
    info: ValidationInfo,
    *,
    called: Callable[[str], str] = lambda name: name,
) -> dict[str, str]:
    """Every name with what the vendor calls it: as given, else the default, else `called` of a name that is mapped.

    Raises:
        ValueError: a name is given that neither is known nor mapped.
    """
    context: Any = info.context or {}
    mapped: Iterable[str] = context.get(MAPPED, ())
    complete = {**{name: called(name) for name in mapped}, **default, **given}
    allowed = [*default, *(name for name in mapped if name not in default)]
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ValueError(
            f"custom_fields.{unknown[0]} is not known and no mapping writes it; allowed: {', '.join(allowed)}"
        )
    return complete
