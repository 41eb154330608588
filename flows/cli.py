"""The command `medloop`. Heavy packages are imported inside the commands, so that --help is quick."""

import gc as collector
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.comparing_cli import card, compare, ui
from flows.upkeep_cli import doctor, gc, restore, upkeep

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From messy health data to compared and registered models, again and again the same.",
)

Studies = Annotated[list[str] | None, typer.Argument(help="Studies to run; the default one if none is named.")]
Values = Annotated[
    list[str] | None, typer.Option("--set", "-S", help="Set a value in the study's file first: -S train.epochs=3")
]


@app.command()
def run(studies: Studies = None, values: Values = None) -> None:
    """Bring studies up to date: run the stale stages, compare, record and register."""
    from flows.commands import run_studies

    run_studies(studies or [], values or [])


@app.command()
def sweep(
    study: Annotated[str | None, typer.Argument(help="The study; the default one if none is named.")] = None,
    *,
    over: Annotated[
        list[str], typer.Option(help="impute,balance: all their methods; balance.method=none,smote; train.seed=0..15")
    ],
    model: Annotated[list[str] | None, typer.Option(help="Train this model only; all of them by default.")] = None,
) -> None:
    """Try every combination of settings and compare them on the validation rows."""
    from flows.commands import sweep_study

    sweep_study(study, over, model or [])


@app.command()
def folds(
    study: Annotated[str | None, typer.Argument(help="The study; the default one if none is named.")] = None,
    *,
    folds: Annotated[int | None, typer.Option(min=2, help="How many; as the study says, else 5.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="How often they are drawn; once by default.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Train this model only; all of them by default.")] = None,
) -> None:
    """Cross-validate: train on all folds but one, test on that one, and pool; the test set stays untouched."""
    from flows.commands import fold_study

    fold_study(study, folds, repeats, model or [])


@app.command()
def search(
    study: Annotated[str | None, typer.Argument(help="The study; the default one if none is named.")] = None,
    *,
    model: Annotated[str, typer.Option(help="The model whose settings are searched.")],
    trials: Annotated[int, typer.Option(min=1, help="How many in all, those of an earlier sitting counted.")] = 30,
    over: Annotated[list[str] | None, typer.Option(help="width=32..512 or cell=lstm,gru; else params.yaml's.")] = None,
) -> None:
    """Search a model's settings with optuna, judged on the validation rows; the same command goes on."""
    from flows.commands import search_study

    search_study(study, model, trials, over or [])


@app.command()
def stage(arguments: Annotated[list[str], typer.Argument(help="STAGE STUDY [MODEL]")]) -> None:
    """Run one stage, as dvc.yaml names it; DVC calls this."""
    from flows.commands import run_stage

    run_stage(arguments)


@app.command()
def status(studies: Studies = None) -> None:
    """Which stages are stale, and why."""
    from flows.commands import show_status

    show_status(studies or [])


@app.command()
def serve(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Studies to serve; all with a schedule by default.")
    ] = None,
) -> None:
    """Run studies by the schedule that their files declare, until told to end; see docs/schedules.md."""
    from flows.serve import serve_studies

    serve_studies(studies or [])


@app.command()
def schedule(
    studies: Annotated[list[str] | None, typer.Argument(help="Studies; all with a schedule by default.")] = None,
) -> None:
    """What comes next by the schedules, and what came last."""
    from flows.agenda import show_agenda

    show_agenda(studies or [])


@app.command(hidden=True)
def slot(study: str, note: Path) -> None:
    """One run by schedule, in a process of its own; `medloop serve` calls this."""
    from flows.slot import work

    work(study, note)


@app.command()
def up() -> None:
    """Start the local Prefect and MLflow servers, or find those that run."""
    from flows.commands import start_servers

    start_servers()


app.command()(ui)


@app.command()
def down() -> None:
    """Stop the servers that medloop started here."""
    from flows.commands import stop_servers

    stop_servers()


@app.command()
def init(
    data: Annotated[
        str,
        typer.Argument(help="A table, a URL, or a folder or archive of tables, pictures, recordings or texts."),
    ],
    target: Annotated[list[str], typer.Option(help="The column to predict; of several yes or no answers each.")],
    event: Annotated[str | None, typer.Option(help="Whether it happened, where the target is the time to it.")] = None,
    group: Annotated[str | None, typer.Option(help="The column that names the patient.")] = None,
    time: Annotated[str | None, typer.Option(help="The column that says when.")] = None,
    name: Annotated[str | None, typer.Option(help="The study's name; the file's by default.")] = None,
    separator: Annotated[str | None, typer.Option(help="Of a text file; found out by default.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a text file, such as latin-1; UTF-8 by default.")] = None,
    decimal: Annotated[str | None, typer.Option(help="The decimal sign: . or ,")] = None,
    sheet: Annotated[str | None, typer.Option(help="Of a workbook that has several.")] = None,
) -> None:
    """Draft studies/NAME.yaml from a data file, and say what a person must check."""
    from flows.draft import draft_study

    layout = {"separator": separator, "encoding": encoding, "decimal": decimal, "sheet": sheet}
    told = {key: value for key, value in layout.items() if value is not None}
    draft_study(data, told, target=target, event=event, group=group, time=time, name=name)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A study (its champion), STUDY@ALIAS, a run key/MODEL, or a run id.")],
    data: Annotated[str, typer.Argument(help="New rows; for a study that joins tables, a folder of these.")],
    out: Annotated[Path, typer.Option(help="Where to write: .csv or .parquet.")] = Path("predictions.csv"),
) -> None:
    """Score new rows with exactly the fitted steps and weights of a run."""
    from flows.predict import predict_rows

    predict_rows(model, data, out)


@app.command()
def reproduce(
    run: Annotated[
        str,
        typer.Argument(help="A run key with /MODEL or without, a run id, a study (its champion), or a Git revision."),
    ],
    study: Annotated[str | None, typer.Option(help="Of a Git revision: which study; else its default one.")] = None,
    values: Annotated[list[str] | None, typer.Option("--set", "-S", help="Change a setting first: what if?")] = None,
    *,
    env: Annotated[bool, typer.Option("--env", help="In an environment of exactly the packages of then.")] = False,
    source: Annotated[bool, typer.Option("--source", help="Read the source again, not what was read then.")] = False,
    tolerance: Annotated[float, typer.Option(help="Within which probabilities are the same.")] = 1e-6,
    seeds: Annotated[int, typer.Option(min=0, help="Other seeds to train with, where predictions differ.")] = 5,
) -> None:
    """Run a past recipe again on its data and say how alike the models are; nothing here is touched.

    Ends with 0 where they are bit-identical, 3: the same predictions, 4: within the spread of seeds, 5: different.
    """
    from flows.reproduce import Asked, reproduce_run

    asked = Asked(values=values or [], source=source, own_environment=env, tolerance=tolerance, seeds=seeds)
    raise typer.Exit(reproduce_run(run, study, asked))


@app.command()
def share(
    address: Annotated[
        str | None, typer.Argument(help="A folder that others see, ssh://…, s3://… or what else DVC takes.")
    ] = None,
) -> None:
    """Push every run, and each new one as it ends, to where others can have it again; kept in .dvc/config."""
    from flows.sharing import share

    share(address)


@app.command()
def retrain(
    study: Annotated[str | None, typer.Argument(help="The study; the default one if none is named.")] = None,
) -> None:
    """Train the study on today's data, and judge by its gate whether the new model takes the champion's place.

    Ends with 0 where it was promoted, is the first, or nothing is new; 3: the champion is kept; 4: a person decides;
    5: blocked, by its schema or its leak certificate; 1: something failed, and the champion stays.
    """
    from flows.retrain import retrain_by_hand

    raise typer.Exit(retrain_by_hand(study))


@app.command()
def drift(
    study: Annotated[str | None, typer.Argument(help="The study; the default one if none is named.")] = None,
) -> None:
    """Compare today's rows with those that the champion learnt from; nothing is trained. See docs/drift.md.

    Ends with 0: no drift, or nothing new; 3: beyond a limit; 4: too few new rows to tell; 1: something failed.
    """
    from flows.drift import drift_study

    raise typer.Exit(drift_study(study))


@app.command()
def notify(
    study: Annotated[str | None, typer.Argument(help="The study; the default one if none is named.")] = None,
    *,
    test: Annotated[bool, typer.Option("--test", help="Send a trial message, and say whether it arrived.")] = False,
) -> None:
    """Whom a study tells of failed and late runs, drift, another champion, and what waits for a person."""
    from flows.notifying import notify

    raise typer.Exit(notify(study, test=test))


@app.command()
def promote(
    study: Annotated[str, typer.Argument(help="The study whose champion it is to be.")],
    version: Annotated[str | None, typer.Argument(help="The registered version; the challenger by default.")] = None,
    why: Annotated[str, typer.Option(help="The reason, which is kept.")] = "",
) -> None:
    """Make a registered model the champion, which `medloop predict STUDY` uses; who, when and why is kept."""
    from flows.promotion_cli import promote_version

    promote_version(study, version, why)


@app.command()
def rollback(
    study: Annotated[str, typer.Argument(help="The study.")],
    why: Annotated[str, typer.Option(help="The reason, which is kept.")] = "",
) -> None:
    """Make the champion before this one the champion again."""
    from flows.promotion_cli import roll_back

    roll_back(study, why)


for command in (compare, card, doctor, gc, upkeep, restore):
    app.command()(command)


def main() -> None:
    """The entry point: faults are told, not traced."""
    # Imports make hundreds of thousands of objects that stay; looking through them again and again costs a tenth more.
    collector.set_threshold(200_000, 20, 100)
    try:
        app()
    except Exception as error:
        from flows.console import show_fault
        from flows.faults import interrupted, told

        if interrupted(error):
            sys.exit(130)
        show_fault(told(error, doing="medloop"))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
