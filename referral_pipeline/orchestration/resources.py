"""The one resource: this installation's bridge, opened once a run and held under the writer lock.

Belongs here: resources. Does not belong here: what is done with them. Concept page:
https://docs.dagster.io/guides/build/external-resources

Everything heavy is imported when a run starts, so that loading the definitions stays cheap and needs no secret.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import PrivateAttr

from referral_pipeline.orchestration.instance import process_tags
from referral_pipeline.orchestration.progress import current_sink

if TYPE_CHECKING:
    from referral_pipeline.orchestration.bridge import Bridge


class BridgeResource(dg.ConfigurableResource):  # pyright: ignore[reportMissingTypeArgument]
    """Contract, stores and connectors of this installation.

    `home` is the folder that holds `data/`; None takes REFERRAL_PIPELINE_HOME, else the working folder. A run waits
    until no other run holds the writer lock: two runs never write to the same systems at once.
    """

    home: str | None = None
    _bridge: Bridge | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[BridgeResource]:
        """Open the bridge for the length of the run."""
        from referral_pipeline.orchestration.bridge import Bridge
        from referral_pipeline.orchestration.writer_lock import single_writer
        from referral_pipeline.settings import load_settings

        settings = load_settings(home=self.home)
        if context.instance is not None and context.run is not None:
            context.instance.add_run_tags(context.run.run_id, process_tags())
        with single_writer(settings.state_dir), Bridge.open(settings, progress=current_sink()) as bridge:
            self._bridge = bridge
            try:
                yield self
            finally:
                self._bridge = None

    @property
    def bridge(self) -> Bridge:
        """The open bridge of this run."""
        if self._bridge is None:
            message = "the bridge is open only while a run executes"
            raise RuntimeError(message)
        return self._bridge
