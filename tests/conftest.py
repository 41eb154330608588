"""Property tests try the same examples each time, so that a check cannot fail by chance; `make explore` varies them."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("repeatable")
