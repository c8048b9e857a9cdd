"""Makes the container of one replica: its chips, what they need, and the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agent.config.settings import WorkloadSettings
from agent.contracts import Runtime
from agent.errors import TransientError
from agent.model.accelerator import ContainerGrant
from agent.model.view import AcceleratorView, AgentView
from agent.model.workloads import DesiredService, InstalledPackage
from agent.workloads import placement, planning


class ImageMissing(TransientError):  # noqa: N818 - named by what the caller has to do
    """Says that the runtime has no image for a replica: load it, then start again."""


class LicenceMissing(TransientError):  # noqa: N818 - likewise
    """Says that a licence is not where it was put: fetch it, then start again."""


class Starter:
    """Chooses chips and starts replicas; `agent` is the instance that owns the containers.

    `choose` only computes and belongs to the thread that decides, so that two replicas that start
    at the same time are never given the same chip where another is free; `start` blocks.
    """

    def __init__(
        self,
        runtime: Callable[[], Runtime],
        *,
        agent: str,
        view: Callable[[], AgentView],
        can_grant: Callable[[str], bool],
        grant: Callable[[str, Sequence[str]], ContainerGrant],
        settings: WorkloadSettings,
    ) -> None:
        self._runtime = runtime
        self._agent = agent
        self._view = view
        self._can_grant = can_grant
        self._grant = grant
        self._settings = settings

    def choose(
        self, service: DesiredService, *, taken: Mapping[str, int]
    ) -> tuple[AcceleratorView, ...]:
        """Return the chips for one more replica, given how many replicas each chip has.

        Raises:
            TransientError: there are not so many chips.
        """
        return placement.choose(
            self._view(), count=service.accelerators, taken=taken, can_grant=self._can_grant
        )

    def start(
        self,
        service: DesiredService,
        package: InstalledPackage,
        *,
        replica: int,
        chips: Sequence[AcceleratorView],
        licence_file: Path | None,
    ) -> None:
        """Start a replica; it runs, or what was made of it is gone again.

        Raises:
            ImageMissing: the image has to be loaded first.
            LicenceMissing: the licence has to be fetched first.
            TransientError: runtime or plugin cannot now.
            PermanentError: no such container can be made or started.
        """
        runtime = self._runtime()
        if package.image is not None and not runtime.has_image(package.image):
            raise ImageMissing(f"the runtime has no image {package.image}")
        # A mount of a file that is gone would be refused, or be made a folder.
        if licence_file is not None and not licence_file.is_file():
            raise LicenceMissing(f"{licence_file} is gone")
        grant = None
        if chips:
            uuids = [chip.accelerator.uuid for chip in chips]
            grant = self._grant(chips[0].accelerator.vendor, uuids)
        spec = planning.container_spec(
            service,
            package,
            replica=replica,
            agent=self._agent,
            chips=chips,
            grant=grant,
            licence_file=None if licence_file is None else str(licence_file),
            settings=self._settings,
        )
        runtime.start(spec)
