"""The lines that start a training elsewhere, as the launchers would read them."""

import os
import subprocess
from pathlib import Path

import pytest

from models.ranks import Place, place
from tests.workspace import REPOSITORY

INFRA = REPOSITORY / "infra"


@pytest.fixture
def launchers(tmp_path: Path) -> dict[str, str]:
    """Stand-ins that only say how they were called, each argument a line; and an environment that finds them."""
    for name in ("srun", "torchrun", "dvc"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$MASTER_ADDR" "$MASTER_PORT"\nprintf "%s\\n" "$@"\n')
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho node-7\necho node-8\n")
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def said(script: str, arguments: list[str], environment: dict[str, str]) -> list[str]:
    line = ["bash", str(INFRA / script), *arguments]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def test_slurms_tasks_are_ranks(launchers: dict[str, str]) -> None:
    job = {"SLURM_JOB_ID": "4242424", "SLURM_JOB_NODELIST": "node-[7-8]"}
    lines = said("train.slurm", ["diabetes", "mlp"], launchers | job)
    _, address, port = lines[0].split()
    assert lines[1:5] == ["medloop", "stage", "train", "diabetes"]
    assert lines[6:] == [f"dvc {address} {port}", "commit", "--force", "train@diabetes-mlp"]
    assert address == "node-7" and 20000 <= int(port) < 40000
    task = {"SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "8"}
    assert place(task | {"MASTER_ADDR": address, "MASTER_PORT": port}) == Place(rank=5, size=8, local=1)


def test_as_many_tasks_as_gpus_and_as_the_comment_says() -> None:
    text = (INFRA / "train.slurm").read_text()
    asked = dict(line.removeprefix("#SBATCH --").split("=") for line in text.splitlines() if line.startswith("#SBATCH"))
    assert asked["ntasks-per-node"] == asked["gpus-per-node"]
    assert f"tasks here, {int(asked['nodes']) * int(asked['ntasks-per-node'])}." in text


def test_torchrun_reads_its_line(launchers: dict[str, str]) -> None:
    from torch.distributed.run import get_args_parser

    read = get_args_parser().parse_args(said("torchrun.sh", ["diabetes", "mlp"], launchers)[1:])
    assert (read.nnodes, read.nproc_per_node, read.rdzv_endpoint, read.no_python) == ("1", "2", "localhost:0", True)
    assert [read.training_script, *read.training_script_args] == ["medloop", "stage", "train", "diabetes", "mlp"]
    two = {**launchers, "NODES": "2", "FIRST": "node-1:29500"}
    read = get_args_parser().parse_args(said("torchrun.sh", ["diabetes", "mlp", "4"], two)[1:])
    assert (read.nnodes, read.nproc_per_node, read.rdzv_endpoint) == ("2", "4", "node-1:29500")
