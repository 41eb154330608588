"""The pages of one run, of a run's own files, and of runs compared."""

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response, abort, make_response, render_template, request, url_for

from contracts.errors import MedloopError
from flows.board import guard, one_run, shown, studies
from flows.board.lineage import lineage, reproduce
from flows.board.one_run import Known
from flows.board.server import Board

if TYPE_CHECKING:
    from flows.journal import Journal, StageRecord

SHOWN = {  # pages that a run keeps of itself, and of which run: the model's own or its comparison's
    "report.html": "own",
    "explanation.html": "own",
    "leaderboard.html": "above",
    "validation/docs.html": "above",
    "missingness/missingness.html": "above",
}
MOST_COMPARED = 500
NO_RUN = "There is no run of this name, or it was deleted."
TITLES = ("Figures and metrics", "Explanation", "Leaderboard", "Validation", "Missing values")


def run_page(board: Board, run_id: str) -> str:
    """`/board/run/RUN`: all that is known of it."""
    run = _known(board, run_id)
    files = one_run.files(board, run)
    with board.reading() as (connection, visible):
        found = next((s for s in studies.summaries(connection, visible) if s.experiment == run.experiment), None)
    journal = one_run.journal_of(board.root, run)
    metric = found.metric if found else ""
    return render_template(
        "board/run.html",
        run=run,
        files=files,
        found=found,
        score=run.measured.get(metric),
        metric=metric,
        metrics=_in_order(run, metric),
        chain=lineage(run, files.source, board.root),
        command=reproduce(run),
        journal=journal,
        stages=_stages(run, journal),
        flow_run=_flow_run(board, run, journal.flow_run if journal else None),
        kept=_kept(board, run),
        machine=_machine(run),
    )


def _known(board: Board, run_id: str) -> Known:
    with board.reading() as (connection, visible):
        run = one_run.known(connection, run_id, visible)
    if run is None:
        abort(HTTPStatus.NOT_FOUND, NO_RUN)
    return run


def _stages(run: Known, journal: "Journal | None") -> list["StageRecord"]:
    """Those of the run's study; a run can be of several."""
    names = {run.study, *(f"{run.study}-{model}" for model in run.beside)}
    return [one for one in journal.stages if one.name.partition("@")[2] in names] if journal else []


def _in_order(run: Known, metric: str) -> list[str]:
    """Metrics, the study's own first."""
    return sorted(run.measured, key=lambda key: (key != metric, not key.startswith("test_"), shown.label(key)))


def _kept(board: Board, run: Known) -> list[tuple[str, str]]:
    """The pages that the run has, by title, and where."""
    there = {of: board.artifacts(run_id) for of, run_id in (("own", run.run_id), ("above", run.above))}
    where = {"own": run.run_id, "above": run.above}
    pages = zip(SHOWN.items(), TITLES, strict=True)
    return [
        (title, url_for("board.artifact", run_id=where[of], path=path))
        for (path, of), title in pages
        if path.partition("/")[0] in there[of]
    ]


def _flow_run(board: Board, run: Known, told: str | None) -> str:
    """Where Prefect shows the run, if its server is known here."""
    from flows.servers import address

    flow_run = run.tags.get("medloop.flow_run") or told
    server = address(board.root, "prefect") if board.root and flow_run else None
    return f"{server}/runs/flow-run/{flow_run}" if server else ""


def _machine(run: Known) -> dict[str, str]:
    try:
        told = json.loads(run.tags.get("medloop.machine", "{}"))
    except ValueError:
        return {}
    return {str(k): shown.plain(v) for k, v in told.items() if v} if isinstance(told, dict) else {}


def artifact(board: Board, run_id: str, path: str) -> Response:
    """A page that a run keeps of itself, shown apart from the board's own."""
    run = _known(board, run_id)
    body = board.artifact(run.run_id, path) if path in SHOWN else None
    if body is None:
        abort(HTTPStatus.NOT_FOUND, "The run keeps no such page.")
    return _apart(body)


def compare(board: Board) -> Response:
    """`/board/compare?run=A&run=B`: the runs' comparison as one page, worked out in this request's own thread."""
    chosen = list(dict.fromkeys(request.args.getlist("run")))
    if len(chosen) < 2:
        raise MedloopError("a comparison needs two runs or more", mend="select them in the table of runs")
    if board.root is None:
        raise MedloopError(
            "this server knows no workspace, and a comparison reads the runs' data there", mend="start it by medloop ui"
        )
    if len(chosen) > MOST_COMPARED:
        raise MedloopError(f"{len(chosen):,} runs are too many for a page", mend=f"select {MOST_COMPARED} or fewer")
    with board.reading() as (connection, visible):
        if set(chosen) - one_run.there(connection, chosen, visible):
            abort(HTTPStatus.NOT_FOUND, NO_RUN)
    from flows.comparing import comparison_html

    back = render_template("board/way_back.html")
    return _apart(comparison_html(board.root, chosen).replace("<body>", f"<body>{back}", 1).encode())


def _apart(body: bytes) -> Response:
    answer = make_response(body)
    answer.headers["Content-Type"] = "text/html; charset=utf-8"
    answer.headers["Content-Security-Policy"] = guard.APART
    return answer
