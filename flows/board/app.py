"""The board's addresses: each reads, and writes nothing but a star, a note, or that a run is hidden."""

from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from flask import Blueprint, Flask, Response, abort, g, redirect, render_template, request, url_for
from sqlalchemy.exc import OperationalError
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response as AnyResponse

from contracts.errors import MedloopError
from flows.board import guard, listing, pages, shown, study_page
from flows.board.conditions import HIDDEN, NOTE, STAR
from flows.board.server import Board
from flows.board.view import View

LONGEST_NOTE = 1000


def mount(board: Board) -> Flask:
    """Puts the pages beside MLflow's, under /board/; MLflow's application.

    They are an application of their own: MLflow refuses addresses that it does not know to all but administrators.
    """
    own = Flask(__name__, static_folder=None)
    own.register_blueprint(_blueprint(board))
    board.mlflow.wsgi_app = DispatcherMiddleware(board.mlflow.wsgi_app, {f"{board.prefix}/board": own})  # type: ignore[method-assign]
    return board.mlflow


def _blueprint(board: Board) -> Blueprint:
    board_pages = Blueprint("board", __name__, template_folder="templates", static_folder="static")
    board_pages.before_request(partial(_admit, board))
    board_pages.after_request(_with_headers)
    board_pages.context_processor(
        lambda: {"shown": shown, "mlflow": f"{board.prefix}/", "run_link": partial(_in_mlflow, board)}
    )
    board_pages.register_error_handler(MedloopError, _told)
    board_pages.register_error_handler(OperationalError, _unreadable)
    for code in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
        board_pages.register_error_handler(code, _refused)
    board_pages.add_url_rule("/", "runs", partial(listing.show, board))
    board_pages.add_url_rule("/run/<run_id>", "run", partial(pages.run_page, board))
    board_pages.add_url_rule("/run/<run_id>/page/<path:path>", "artifact", partial(pages.artifact, board))
    board_pages.add_url_rule("/study/<path:name>", "study", partial(study_page.show, board))
    board_pages.add_url_rule("/compare", "compare", partial(pages.compare, board))
    board_pages.add_url_rule("/run/<run_id>/mark", "mark", partial(_mark, board), methods=["POST"])
    return board_pages


def _admit(board: Board) -> Response | None:
    if guard.reached_from_outside(request) and not board.guarded:
        abort(HTTPStatus.FORBIDDEN, "The board is open to this machine only, since nobody is asked for a password. "
              "For others, start the server with: mlflow server --app-name medloop-auth")  # fmt: skip
    if request.method not in ("GET", "HEAD") and not guard.of_our_own(request):
        abort(HTTPStatus.FORBIDDEN, "This was not sent by a page of the board, so nothing was changed.")
    if "\0" in unquote(request.full_path):  # PostgreSQL refuses it, and SQLite ends the text there
        abort(HTTPStatus.NOT_FOUND, "No address has such a letter.")
    if board.guarded and request.endpoint != "board.static":
        g.visible = board.visible()
        if g.visible is None:
            return Response("Who are you?", HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="mlflow"'})
    return None


def _with_headers(response: Response) -> Response:
    for name, value in guard.HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _told(fault: MedloopError) -> tuple[str, int]:
    return render_template("board/fault.html", problem=fault.problem, mend=fault.mend), HTTPStatus.BAD_REQUEST


def _refused(fault: Any) -> tuple[str, int]:
    return render_template("board/fault.html", problem=fault.description, mend=""), fault.code


def _unreadable(_: OperationalError) -> tuple[str, int]:
    problem, mend = "MLflow's database cannot be read, or nothing is recorded yet.", "medloop run records a first study"
    return render_template("board/fault.html", problem=problem, mend=mend), HTTPStatus.SERVICE_UNAVAILABLE


def _in_mlflow(board: Board, experiment: int, run_id: str) -> str:
    return f"{board.prefix}/#/experiments/{experiment}/runs/{run_id}"


def _mark(board: Board, run_id: str) -> AnyResponse:
    """A star, a note, or hidden: each a tag of the run, written by MLflow itself."""
    for name, tag in {"star": STAR, "hide": HIDDEN, "note": NOTE}.items():
        if name in request.form:
            _set(board, run_id, tag, shown.plain(" ".join(request.form[name].split()), LONGEST_NOTE))
    if request.args.get("back") == "run":
        return redirect(url_for("board.run", run_id=run_id))
    view = View.of(request.args, *map(request.args.getlist, ("col", "pick")))
    return redirect(f"{url_for('board.runs')}?{view.query}")


def _set(board: Board, run_id: str, tag: str, value: str) -> None:
    status = board.set_tag(run_id, tag, value)
    if status == HTTPStatus.NOT_FOUND and value:
        abort(HTTPStatus.NOT_FOUND, "There is no run of this name, so nothing was changed.")
    if status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):  # a tag to be taken away may be gone already
        abort(HTTPStatus.FORBIDDEN, "MLflow did not let you change this run.")
