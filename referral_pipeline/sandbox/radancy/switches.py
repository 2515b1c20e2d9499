"""What can be set at run time on the Radancy sandbox beyond what every advocacy sandbox has.

Belongs here: settings behind `POST /_sandbox/switches`. Does not belong here: faults (`sandbox.faults`).
"""

from __future__ import annotations

from dataclasses import dataclass

from referral_pipeline.sandbox.advocacy import switches


@dataclass
class Switches(switches.Switches):
    """`puts_show_record`: the three PUTs answer the record. By default they answer no body: none is documented."""

    puts_show_record: bool = False
