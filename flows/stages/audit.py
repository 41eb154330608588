"""samples, split, imputer, normalizer, balanced train → certificate.json, clearance.json"""

from contracts.errors import MedloopError
from contracts.tables import Schema
from flows.home import failures
from flows.stages import Context
from flows.store import read_model, read_table, write_json
from pipelines.audit import certify
from pipelines.impute import Imputer
from pipelines.normalize import Normalizer


def run(context: Context) -> str:
    """Signs the leak certificate. Raises MedloopError on a leak, saying where the certificate lies."""
    cleaned = context.folder("clean")
    certificate = certify(
        samples=read_table(cleaned / "samples.parquet"),
        split=read_table(context.folder("split") / "split.parquet"),
        imputer_seen=read_model(context.folder("impute") / "imputer.json", Imputer).seen,
        normalizer_seen=read_model(context.folder("normalize") / "normalizer.json", Normalizer).seen,
        balanced=read_table(context.folder("balance") / "train.parquet"),
        schema=read_model(cleaned / "schema.json", Schema),
        params=context.settings.audit,
    )
    if certificate.verdict == "leak":
        path = failures(context.root) / context.settings.name / "certificate.json"
        write_json(path, certificate)
        raise MedloopError(certificate.sentence, where=str(path), mend="mend the study, or the split, and run again")
    write_json(context.folder("audit") / "certificate.json", certificate)
    # What training waits for: it says the same whatever suspicion was accepted, so that accepting one retrains nothing.
    write_json(context.folder("audit") / "clearance.json", {"leak": False})
    return certificate.sentence
