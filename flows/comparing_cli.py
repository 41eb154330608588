"""The commands that show what there is, as they are parsed; what they do is imported when they are called."""

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[
    list[str],
    typer.Argument(
        help="Two or more: a run id, a run key with /MODEL or without, STUDY/MODEL (here, now), STUDY@champion, "
        "STUDY/VERSION."
    ),
]


def compare(
    runs: Runs,
    html: Annotated[
        Path | None, typer.Option(help="Write the whole comparison as one file that opens offline.")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Look at the groups of a column, too: sex, or age=40,65 where cut.")
    ] = None,
) -> None:
    """Which run is better, by how much, for whom, whether that is real, and what was different.

    Ends with 0, or with 3 where the runs cannot be compared.
    """
    from flows.comparing.show import compare_runs

    raise typer.Exit(compare_runs(runs, html, by or []))


def card(
    run: Annotated[str, typer.Argument(help="One run, named as for `medloop compare`.")],
    html: Annotated[Path | None, typer.Option(help="Write it as an HTML file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write it as a Markdown file.")] = None,
) -> None:
    """Draft a model card and the TRIPOD+AI checklist from what a run recorded; what a person must fill in is marked."""
    from flows.card import draw_card

    draw_card(run, html, markdown)


def ui(
    host: Annotated[
        str, typer.Option(help="Where MLflow and the board listen; beyond this machine they ask for passwords.")
    ] = "127.0.0.1",
) -> None:
    """Print where to look, starting the servers where needed."""
    from flows.commands import start_servers

    start_servers(host)
