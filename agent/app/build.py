"""Builds the services of the running agent from its settings.

With `build_workloads` and `build_device_api`, nothing else constructs them. The order is that of
the start: the sampler, then those who show what it found, then packages and services, then the
device API, on which platforms use them, then the platforms that are told of it.
"""

from __future__ import annotations

from pathlib import Path

from agent.app import build_device_api, build_workloads, metrics, platforms
from agent.app.centre import meter_kinds, query_metrics
from agent.app.centre import questions as centre_questions
from agent.app.centre.parts import CentreService
from agent.app.held import Held
from agent.app.local_socket import SOCKET_NAME, STATUS, LocalSocketServer
from agent.app.monitoring import answering as monitoring_answering
from agent.app.parts import PartPlan, Service
from agent.app.wiring import Wiring
from agent.app.workloads import questions as workload_questions
from agent.app.workloads import runtime_choice
from agent.config.kinds import split_listen
from agent.config.settings import AcsmpSettings, DeviceApiSettings, MetricsSettings, Settings
from agent.protocols.acsmp.identity import DeviceIdentity
from agent.protocols.acsmp.session import PlatformSession
from agent.sampling.sampler import Sampler
from agent.security import self_test
from agent.store.outbox_file import FILE_NAME as OUTBOX_NAME
from agent.transport.server import HttpServer, ServerLimits

METRICS_LIMITS = ServerLimits(max_body_bytes=64 * 1024, connections=64, threads=2)


def plan(settings: Settings, *, wiring: Wiring) -> tuple[PartPlan, ...]:
    """Return the parts that these settings want, in the order of their start.

    Raises:
        PermanentError: what the settings name (a certificate, the cryptography of this build)
            cannot be used.
    """
    if settings.acsmp or settings.monitoring or settings.centre is not None:
        self_test.run()
    plans = [_sampler(settings, wiring=wiring), _local_socket(settings, wiring=wiring)]
    if settings.metrics is not None:
        plans.append(_metrics(settings.metrics, wiring=wiring))
    if settings.meters:
        plans.append(_centre(settings, wiring=wiring))
    plans += _monitoring(settings, wiring=wiring)
    plans += _questions(settings, wiring=wiring)
    if settings.runtime.kind != runtime_choice.NONE:
        plans.append(build_workloads.part(settings, wiring=wiring))
    if settings.device_api is not None:
        identities = platforms.identities(settings)
        plans.append(
            build_device_api.part(
                settings, settings.device_api, identities=identities, wiring=wiring
            )
        )
        plans += [
            _platform(
                each,
                identity=identity,
                device_api=settings.device_api,
                settings=settings,
                wiring=wiring,
            )
            for each, identity in zip(settings.acsmp, identities, strict=False)
        ]
    wiring.settings = settings
    return tuple(plans)


def _sampler(settings: Settings, *, wiring: Wiring) -> PartPlan:
    def build() -> Service:
        return Held(Sampler(settings, clock=wiring.clock), wiring=wiring, name="sampler")

    def update(_: Service) -> bool:
        # The sampler knows which of its plugins a change concerns; the others go on.
        if wiring.sampler is None:
            return False
        wiring.sampler.reload(settings)
        return True

    return PartPlan(
        name="sampler",
        key=(settings.collect, settings.accelerators),
        build=build,
        update=update,
    )


def _local_socket(settings: Settings, *, wiring: Wiring) -> PartPlan:
    path = Path(settings.node.state_dir) / SOCKET_NAME
    return PartPlan(
        name="local socket",
        key=path,
        build=lambda: LocalSocketServer(
            path,
            answers={
                STATUS: lambda _: wiring.status_document(),
                **workload_questions.answers(
                    lambda: wiring.workloads, are_wanted=lambda: _runs_services(wiring.settings)
                ),
                **centre_questions.answers(
                    lambda: wiring.centre.centre if wiring.centre else None, clock=wiring.clock
                ),
                **monitoring_answering.answers(
                    reporting=lambda: wiring.reporting,
                    outbox=wiring.opened_outbox,
                    clock=wiring.clock,
                ),
            },
        ),
    )


def _runs_services(settings: Settings | None) -> bool:
    return settings is None or settings.runtime.kind != runtime_choice.NONE


def _metrics(settings: MetricsSettings, *, wiring: Wiring) -> PartPlan:
    def build() -> Service:
        collector = metrics.AgentCollector(
            view=wiring.view,
            sessions=wiring.session_statuses,
            identify=wiring.identify,
            workloads=lambda: wiring.workloads,
            centre=lambda: wiring.centre,
            queries=lambda: query_metrics.families(wiring),
            reporting=lambda: wiring.reporting,
        )
        server = HttpServer(
            metrics.application(collector),
            listen=split_listen(settings.listen),
            limits=METRICS_LIMITS,
            name="metrics",
        )
        return Held(server, wiring=wiring, name="metrics_server")

    return PartPlan(name="metrics", key=settings, build=build)


def _centre(settings: Settings, *, wiring: Wiring) -> PartPlan:
    return PartPlan(
        name="meters",
        key=(settings.meters, settings.ledger, settings.node.state_dir),
        build=lambda: Held(
            CentreService(
                settings,
                kinds=meter_kinds.MeterKinds(meter_kinds.installed(), view=wiring.view),
                clock=wiring.clock,
            ),
            wiring=wiring,
            name="centre",
        ),
    )


def _monitoring(settings: Settings, *, wiring: Wiring) -> tuple[PartPlan, ...]:
    if not settings.monitoring and not (Path(settings.node.state_dir) / OUTBOX_NAME).exists():
        return ()
    # It weighs, and most nodes report nothing.
    from agent.app import build_monitoring

    return build_monitoring.parts(settings, wiring=wiring)


def _questions(settings: Settings, *, wiring: Wiring) -> tuple[PartPlan, ...]:
    if settings.centre is None:
        return ()
    # It weighs, and most nodes are no centre.
    from agent.app import build_centre_api

    return build_centre_api.parts(settings, settings.centre, wiring=wiring)


def _platform(
    platform: AcsmpSettings,
    *,
    identity: DeviceIdentity,
    device_api: DeviceApiSettings,
    settings: Settings,
    wiring: Wiring,
) -> PartPlan:
    def build() -> Service:
        # Where the configuration leaves the port to the system, the real one is known only now.
        port = None if wiring.device_server is None else wiring.device_server.port
        told = next(
            each
            for each in platforms.identities(settings, listen_port=port)
            if each.platform == platform.name
        )
        return _Session(
            platforms.session(platform, identity=told, clock=wiring.clock), wiring=wiring
        )

    return PartPlan(
        name=f"platform {platform.name}",
        key=(platform, identity, device_api.listen, device_api.tls),
        build=build,
    )


class _Session:
    """Is a platform's session that the others may ask through the wiring while it runs."""

    def __init__(self, session: PlatformSession, *, wiring: Wiring) -> None:
        self._session = session
        self._wiring = wiring

    def start(self) -> None:
        self._wiring.add_session(self._session)
        self._session.start()

    def stop(self, *, timeout_seconds: float) -> None:
        self._wiring.remove_session(self._session)
        self._session.stop(timeout_seconds=timeout_seconds)
