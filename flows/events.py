"""Events in Prefect, which its automations can act on. Prefect is told where it answers; nothing waits for it."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flows import workers
from flows.plan import Say, unheard


def emit(root: Path, name: str, study: str, payload: Mapping[str, Any]) -> None:
    """Tells Prefect that something happened to a study, such as `medloop.drift.drifted`.

    In another process, since Prefect reads once, when it is imported, where its server is, and a run may yet start it.
    """
    with suppress(Exception):  # what happened is in medloop's own files, whatever Prefect says
        workers.call("an event", _emitted, root, name, study, dict(payload), say=unheard)


def _emitted(root: Path, name: str, study: str, payload: dict[str, Any], say: Say) -> None:
    from flows.deployments import known_address, with_client

    api = known_address(root)
    if api:
        from prefect.events import Event, Resource

        told = Resource({"prefect.resource.id": f"medloop.study.{study}", "prefect.resource.name": study})
        event = Event(event=name, resource=told, payload=payload).model_dump(mode="json")
        with_client(api, lambda client: client.request("POST", "/events", json=[event]))
