"""Two runs or more beside one another: `medloop compare`, and the same as a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from flows.comparing.assemble import Comparison, compared

__all__ = ["Comparison", "compared", "comparison_html"]


def comparison_html(root: Path, runs: Sequence[str], by: Mapping[str, Sequence[float]] | None = None) -> str:
    """The comparison as one HTML page that needs no network.

    Args:
        root: the workspace
        runs: each an MLflow run id, a run key with /MODEL or without, STUDY/MODEL (the present results),
            STUDY@champion or STUDY/VERSION
        by: columns whose groups are looked at, and where a number is cut; else as the study's gate says, else those
            that sound like sex, age, site or ethnicity

    Raises:
        MedloopError: a run that nobody knows, fewer than two
    """
    from flows.comparing.html import html

    return html(compared(root, runs, by))
