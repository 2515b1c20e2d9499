"""What a benchmark answers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Result:
    """Figures with their unit in the name, ratios within this run, and whether what must be true was true."""

    name: str
    figures: dict[str, float | int | str]
    ratios: dict[str, float] = field(default_factory=dict)
    holds: bool = True
