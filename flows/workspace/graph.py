"""Which stages there are, in which order, and why they are stale."""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flows import lockfile
from flows.plan import Stage
from flows.workspace.repository import repository, stage_of

OUR_COMMAND = ["medloop", "stage"]
NEVER = "has not run yet"


def plan(root: Path, studies: Iterable[str]) -> list[Stage]:
    """The stages of these studies and all that they need, in running order, each with why it is stale."""
    from dvc.repo.reproduce import plan_repro

    wanted = set(studies)
    with repository(root) as repo:
        graph = repo.index.graph
        targets = [node for node in graph if _study(node) in wanted]
        needed = {above for target in targets for above in _closure(graph, target)}
        order = [node for node in plan_repro(graph, sorted(targets, key=lambda s: s.addressing)) if node in needed]
        stale = {node: _why_stale(node) for node in order}
        for node in order:
            first = next((a for a in order if a in _closure(graph, node) and a is not node and stale[a]), None)
            if first and not stale[node]:
                stale[node] = [f"comes after {first.addressing}"]
        return [
            Stage(
                name=node.addressing,
                arguments=tuple(_words(node)),
                after=tuple(sorted(above.addressing for above in graph.successors(node))),
                stale=tuple(stale[node]),
                outputs=_outputs(node),
            )
            for node in order
        ]


def _closure(graph: Any, node: Any) -> set[Any]:
    import networkx as nx

    return {node, *nx.descendants(graph, node)}


def _words(stage: Any) -> list[str]:
    """The arguments of our own command; none for any other."""
    words = shlex.split(stage.cmd) if isinstance(stage.cmd, str) else []
    return words[2:] if words[:2] == OUR_COMMAND else []


def _study(stage: Any) -> str | None:
    words = _words(stage)
    return words[1] if len(words) > 1 else None


def _outputs(stage: Any) -> str:
    written = sorted(f"{out.def_path} {out.hash_info.value}" for out in stage.outs)
    return hashlib.sha256("\n".join(written).encode()).hexdigest()[:16]


def _why_stale(stage: Any) -> list[str]:
    """DVC's nested status as sentences: `params.yaml: train.epochs is modified`."""
    if not any(out.hash_info and out.exists for out in stage.outs):
        return [NEVER]
    reasons: list[str] = []
    for entry in stage.status().get(stage.addressing, []):
        if isinstance(entry, str):
            reasons.append({"changed checksum": "its command or its outputs' list changed"}.get(entry, entry))
            continue
        reasons += [said for changes in entry.values() for said in sentences(changes)]
    return reasons


def sentences(changes: Mapping[str, Any]) -> list[str]:
    """What DVC says of a dependency or output, as sentences."""
    told: list[str] = []
    for path, change in changes.items():
        inner = change.items() if isinstance(change, dict) else [("", change)]
        told += [f"{path}: {key} is {what}" if key else f"{path} is {what}" for key, what in inner]
    return told


def order_lock(root: Path) -> None:
    """Puts the entries of dvc.lock in the order in which `dvc repro` writes them, however the stages ended."""
    from dvc.repo.reproduce import plan_repro

    with repository(root) as repo:
        lockfile.order(root, [stage.addressing for stage in plan_repro(repo.index.graph)])


def outputs(root: Path, name: str) -> str:
    """One hash over what a stage wrote last: the same outputs, the same hash."""
    with repository(root) as repo:
        return _outputs(stage_of(repo, name))
