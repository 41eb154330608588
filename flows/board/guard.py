"""Who may look and who may write: no stranger from the network without a password, no other site's form."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Request

POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{what}-src 'self'" for what in ("script", "style", "connect", "font")),
        "img-src 'self' data:",
        *(f"{what} 'self'" for what in ("form-action", "frame-ancestors")),
        "base-uri 'none'",
    ]
)
# A page of a run brings its script with it: it is shown apart, as of an origin of its own, that can ask nothing.
APART = (
    "sandbox allow-scripts allow-popups allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
}


def reached_from_outside(request: Request) -> bool:
    """Whether the request came in at an address that others on the network can reach."""
    at = str(request.environ.get("SERVER_NAME", ""))
    try:
        return not ip_address(at).is_loopback
    except ValueError:
        return not (at == "localhost" or at.startswith("/"))  # a socket on this machine


def of_our_own(request: Request) -> bool:
    """Whether a form was sent by a page of this very server; a browser always says so, one way or the other."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("Origin", ""))
    return bool(origin.netloc) and origin.netloc == request.host
