"""vl-convert in a process of its own: charts in Vega-Lite in, SVG out.

Belongs here: the child process and how it is called. Does not belong here: what is drawn (`charts`).

The renderer is native code with a JavaScript engine in it, and when it meets what it cannot read it aborts its whole
process (vega/vl-convert issues 34, 210 and 220: a control character in a label is enough). That must not be the process
of a refresh; and the 150 MB that the engine takes go with the child.

Run as a script it imports nothing but vl-convert: it reads a JSON list from standard input and writes one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, cast

SCHEMA = "6.4"
"""Of Vega-Lite; the version that Altair 6 writes."""

_SECONDS = 120


class RenderFailed(RuntimeError):
    """The renderer gave up; the message names no value of a chart."""


def rendered(charts: Sequence[dict[str, Any]]) -> list[str]:
    """The SVG of each chart, in order.

    Raises:
        RenderFailed: the child died, took too long, or refused a chart.
    """
    command = [sys.executable, "-P", __file__]
    try:
        done = subprocess.run(  # noqa: S603 - this very file
            command, input=json.dumps(charts).encode(), capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RenderFailed(f"drawing {len(charts)} charts took more than {_SECONDS} s") from error
    except OSError as error:
        raise RenderFailed(f"the process that draws could not be started: {error.strerror}") from error
    if done.returncode != 0:
        raise RenderFailed(f"vl-convert ended with {done.returncode} while it drew {len(charts)} charts")
    try:
        drawn: Any = json.loads(done.stdout)
    except (ValueError, RecursionError) as error:
        raise RenderFailed("vl-convert's answer cannot be read") from error
    if not isinstance(drawn, list):
        raise RenderFailed("vl-convert's answer is no list of charts")
    answers = cast("list[Any]", drawn)
    pictures = [svg for svg in answers if isinstance(svg, str)]
    if not len(pictures) == len(answers) == len(charts):
        raise RenderFailed(f"vl-convert drew {len(pictures)} of {len(charts)} charts")
    return pictures


def main() -> None:
    """The child."""
    import vl_convert

    charts = json.load(sys.stdin)
    # allowed_base_urls: a chart holds its own data; nothing is fetched, whatever stands in it.
    drawn = [vl_convert.vegalite_to_svg(chart, vl_version=SCHEMA, allowed_base_urls=[]) for chart in charts]
    json.dump(drawn, sys.stdout)


if __name__ == "__main__":
    main()
