"""What a search found, shown: the best trials beside the study as it is, how to take them, a page, MLflow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows import console, tracking, trials
from flows.search import AS_IT_IS, Search, called, told
from flows.space import shown, written
from pipelines.compare import Leaderboard, behind_text, compare, small_part, table
from pipelines.figures import leaderboard_page
from pipelines.page import figure, section
from pipelines.page import table as html_table
from pipelines.tasks import METRICS

LAYOUT = ("xaxis", "yaxis", "showlegend", "legend", "shapes", "annotations", "margin")


def show(root: Path, found: Search) -> None:
    """The verdict, the table and how to take the best, on the terminal, in MLflow and on a page."""
    board = _board(found)
    best = board.rows[0].model
    _tell_mlflow(root, found, board)
    evaluations = {label: entry.evaluation for label, entry in found.entries.items()}
    title = f"{found.study.study.title}: a search for {found.model}"
    page = leaderboard_page(board, evaluations, title, more=_sections(found, board))
    folder = trials.keep(root, found.key, board, page)
    header, *rows = table(board)
    console.show_leaderboard(f"On {found.part} rows, {board.verdict}", header, rows)
    chosen = " ".join(f"-S {key}={value}" for key, value in written(found.taken(best), found.model).items())
    console.show_facts(
        {
            **{label: told(found.taken(label)) for label in _trials(board)},
            "take it": f"medloop run {found.study.name} {chosen}" if chosen else "nothing to take: keep what there is",
            "page": folder / "leaderboard.html",
        }
    )


def _trials(board: Leaderboard) -> list[str]:
    return [row.model for row in board.rows if row.model != AS_IT_IS]


def _board(found: Search) -> Leaderboard:
    board = compare(found.entries, found.study.compare, baselines=[], part=found.part)
    return board.model_copy(update={"choice": board.rows[0].model, "verdict": _verdict(found, board)})


def _verdict(found: Search, board: Leaderboard) -> str:
    """Who is best, whether that may be chance, and how far to believe it."""
    best, trialled, small = board.rows[0], _ends(found), small_part(board.counts, board.part)
    metric = f"{METRICS[board.metric].label} {best.metrics[board.metric]}"
    if best.model == AS_IT_IS:
        return f"the study as it is stays best: {metric}. Tried: {trialled}.{small}"
    own = next(row for row in board.rows if row.model == AS_IT_IS)
    return (
        f"{best.model} is best of {trialled}: {metric}. Behind it the study as it is: {behind_text(own)}. "
        f"The best of so many on the same {found.part} rows is flattered, the more the more were tried: "
        f"believe what the test rows say after medloop run.{small}"
    )


def _ends(found: Search) -> str:
    """`30 trials, 12 pruned, 1 failed`."""
    states = [trial.state.name for trial in found.tried.trials]
    counts = {"pruned": states.count("PRUNED"), "failed": states.count("FAIL")}
    return ", ".join([f"{len(states)} trials", *(f"{count} {what}" for what, count in counts.items() if count)])


def _tell_mlflow(root: Path, found: Search, board: Leaderboard) -> None:
    """A run for each trial, those of earlier sittings too."""
    content = {
        called(trial.number): tracking.Content(
            params={"model": found.model, **written(trial.params, found.model)},
            metrics=trial.user_attrs.get("metrics", {}),
            history=[(epoch, {"reported": value}) for epoch, value in trial.intermediate_values.items()],
            tags={"medloop.trial": trial.state.name.lower()},
        )
        for trial in found.tried.trials
    }
    trials.tell_mlflow(root, found.study.name, found.key, "search", content, board.verdict)


def _sections(found: Search, board: Leaderboard) -> list[str]:
    """The best trials' settings, then optuna's own figures where there is enough to draw."""
    lines = [[label, *shown(found.taken(label)).values()] for label in _trials(board)]
    heading = ["trial", *(shown(found.taken(_trials(board)[0])) if lines else [])]
    made = [section("Settings of the best", f"Of {_ends(found)}", html_table(heading, lines))]
    return made + _figures(found, METRICS[board.metric].label)


def _figures(found: Search, label: str) -> list[str]:
    import optuna

    whole = found.tried.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    if len({trial.value for trial in whole}) < 2:
        return []
    draw = optuna.visualization
    drawn: dict[str, tuple[str, Callable[..., Any]]] = {
        "How the search went": ("Each trial's value, and the best so far", _history),
        "Which settings matter": (
            "Share of the differences between the trials that ended",
            _importances,
        ),
        "What goes together": ("A line a trial, dark where it is good", draw.plot_parallel_coordinate),
    }
    return [
        section(heading, note, _figure(f"search-{number}", plot(found.tried, target_name=label)))
        for number, (heading, (note, plot)) in enumerate(drawn.items())
    ]


def _importances(tried: Any, target_name: str) -> Any:
    """By the functional analysis of variance of Hutter et al. (ICML 2014), over a forest."""
    import optuna

    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.visualization.plot_param_importances(tried, evaluator=evaluator, target_name=target_name)


def _history(tried: Any, target_name: str) -> Any:
    """As optuna draws it, but counted from 1, as trials are named here."""
    import optuna

    drawn = optuna.visualization.plot_optimization_history(tried, target_name=target_name)
    for trace in drawn.data:
        trace.x = [number + 1 for number in trace.x]
    return drawn


def _figure(name: str, drawn: Any) -> str:
    layout = {key: value for key, value in drawn.layout.to_plotly_json().items() if key in LAYOUT}
    return figure(name, list(drawn.data), {"height": 440, **layout})
