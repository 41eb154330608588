"""What every check needs to be repeatable: the same property-test examples, and the same names in every process."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("repeatable")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names of tests do not depend on bytes: an archive made at start holds the time, and two workers would differ."""
    return argname if isinstance(val, bytes) else None
