"""Whether the pages may be opened to others on the network: only where MLflow asks everyone for a password."""

import os
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

from contracts.errors import MedloopError

SECRET, PASSWORD, CONFIG = "MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_AUTH_CONFIG_PATH"
USERS = "basic_auth.db"


def check(host: str, home: Path) -> str:
    """The address to listen at. home: where MLflow keeps its users once there are some.

    Raises MedloopError for what is no address, and for one that others reach where nobody is asked for a password.
    """
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        mend = "127.0.0.1 (this machine alone), 0.0.0.0 (the network), or the address of one of its interfaces"
        raise MedloopError(f"{host!r} is no address to listen at", where="--host", mend=mend) from None
    if address.is_loopback:
        return "127.0.0.1"
    missing = _missing(home)
    if missing:
        raise MedloopError(
            f"others on the network would see every study without a password at {host!r}: {'; '.join(missing)}",
            where="--host",
            mend=f"pip install 'mlflow[auth]'; export {SECRET} (any long secret) and {PASSWORD} (12 letters or more); "
            "or leave --host out and reach the pages by ssh -L 5000:127.0.0.1:5000 THIS-MACHINE",
        )
    return str(address)


def _missing(home: Path) -> list[str]:
    known = any(os.environ.get(name) for name in (PASSWORD, CONFIG)) or (home / USERS).is_file()
    needed = {
        "mlflow[auth] is not installed": find_spec("flask_wtf") is not None,
        f"{SECRET} is not set": bool(os.environ.get(SECRET)),
        f"the first user has no password ({PASSWORD} or {CONFIG} is not set)": known,
    }
    return [told for told, met in needed.items() if not met]
