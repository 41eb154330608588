"""table.parquet → verdict.json, quarantine.parquet, docs.html"""

from contracts.study import Study
from flows.blocks import open_table
from flows.home import failures
from flows.stages import Context
from flows.store import read_model, write_json, write_table, write_text
from pipelines.validate import failure, validate


def run(context: Context) -> str:
    """Checks the table against the declared columns. Raises MedloopError when the verdict is fail."""
    settings, folder = context.settings, context.folder("validate")
    table = open_table(context.folder("ingest") / "table.parquet", coded=True)
    study = read_model(context.folder("ingest") / "declaration.json", Study)
    cleaning = settings.clean
    checks = settings.validation.following(cleaning)
    validated = validate(
        table, study, checks, missing=cleaning.missing, decimal=cleaning.decimal, spelling=cleaning.spelling
    )
    if validated.verdict == "fail":
        page = failures(context.root) / settings.name / "docs.html"
        write_text(page, validated.docs)
        raise failure(validated, where=f"study {settings.name}; all findings: {page}")
    write_text(folder / "docs.html", validated.docs)
    write_json(
        folder / "verdict.json",
        {"verdict": validated.verdict, "findings": [f.model_dump() for f in validated.findings]},
    )
    write_table(folder / "quarantine.parquet", validated.quarantine)
    findings = f"{len(validated.findings)} finding{'s' * (len(validated.findings) != 1)}"
    return f"{validated.verdict}: {findings}, {len(validated.quarantine)} rows set aside"
