"""Events in Prefect, which its automations can act on. Prefect is told where it answers; nothing waits for it."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def emit(root: Path, name: str, study: str, payload: Mapping[str, Any]) -> bool:
    """Tells Prefect that something happened to a study, such as `medloop.drift.drifted`; whether it heard."""
    from flows.deployments import known_address, with_client

    api = known_address(root)
    if not api:
        return False
    with suppress(Exception):  # what happened is in medloop's own files, whatever Prefect says
        from prefect.events import Event, Resource

        told = {"prefect.resource.id": f"medloop.study.{study}", "prefect.resource.name": study}
        event = Event(event=name, resource=Resource(told), payload=dict(payload))
        with_client(api, lambda client: client.request("POST", "/events", json=[event.model_dump(mode="json")]))
        return True
    return False
