"""The page of all runs: the answer of each study, then the table."""

from typing import Any

from flask import render_template, request
from sqlalchemy import Connection

from contracts.errors import MedloopError
from flows.board import database as db
from flows.board import runs, shown, studies
from flows.board.server import Board
from flows.board.view import FIXED, KINDS, MOST_COLUMNS, SCORE, View

OFFERED = 600  # columns of a kind to choose from


def show(board: Board) -> str:
    """`/board/`: what the address asks for; a search that cannot be understood is told above an empty table."""
    view, fault = View.of(request.args, *map(request.args.getlist, ("col", "pick"))), None
    with board.reading() as (connection, visible):
        found = studies.summaries(connection, visible)
        scores = studies.scores(found)
        try:
            page = runs.page(connection, view, scores, visible)
        except MedloopError as error:
            page, fault = runs.Page(rows=[], total=0, view=view), error
        offered, roles = _columns(connection), studies.roles(connection)
    return render_template(
        "board/runs.html",
        view=page.view,
        page=page,
        fault=fault,
        studies=[one for one in found if one.run_id and view.study in ("", one.study)],
        names=[one.study for one in found],
        metric=next((one.metric for one in found if one.study == view.study), ""),
        offered=offered,
        roles=roles,
        kinds=KINDS,
        fixed=FIXED,
        elsewhere=[one for one in view.picked if one not in {row.run_id for row in page.rows}],
        most_columns=MOST_COLUMNS,
    )


def _columns(connection: Connection) -> dict[str, list[tuple[str, str]]]:
    """What columns there are to choose from, by kind, each with what it is called."""
    kept: dict[str, Any] = {"metrics": db.metrics, "params": db.params, "tags": db.tags}
    keys = {
        kind: [key for key in connection.scalars(db.keys(of)) if not shown.is_end(key)] for kind, of in kept.items()
    }
    named = {kind: [(f"{kind}.{key}", shown.plain(key)) for key in of[:OFFERED]] for kind, of in keys.items()}
    return {"Answer": [(SCORE, "the study's main metric")], **{k.capitalize(): v for k, v in named.items()}}
