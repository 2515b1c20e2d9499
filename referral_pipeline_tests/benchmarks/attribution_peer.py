"""The same credit by `marketing-attribution-models`, run by an interpreter of its own environment.

Belongs here: the calls of the peer on the touches that count. Does not belong here: anything of ours; this file is run
where our package is not installed.

Prints one JSON object: seconds, peak memory, version, and what each model gives each campaign.
"""

import json
import resource
import sys
import time
from importlib.metadata import version
from typing import Any


def main() -> None:
    """`FILE`: Parquet with journey, channel, converted, at."""
    import polars  # type: ignore[import-not-found]
    from mam.core import MAM  # type: ignore[import-not-found]

    frame: Any = polars.read_parquet(sys.argv[1])
    started, used_before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    journeys = MAM(
        frame,
        format_type="session",
        channels_colname="channel",
        journey_with_conv_colname="converted",
        datetime_colname="at",
        user_id_colname="journey",
    )
    results = {
        "first_touch": journeys.run_first_click(),
        "last_touch": journeys.run_last_click(),
        "linear": journeys.run_linear(),
        "time_decay": journeys.run_time_decay(half_life_hours=168.0),
        "position_based": journeys.run_position_based(),
    }
    seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - used_before.ru_utime - used_before.ru_stime
    credit = {
        name: {str(row["channels"]): row["attribution"] for row in result.to_polars().to_dicts()}
        for name, result in results.items()
    }
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": cpu,
                "rss_mib": used.ru_maxrss // 1024,
                "version": version("marketing-attribution-models"),
                "polars": version("polars"),
                "credit": credit,
            }
        )
    )


if __name__ == "__main__":
    main()
