"""The commands that the README tells a user to type, typed."""

import re
import shlex
import shutil

from tests.workspace import MEDLOOP, REPOSITORY, Workspace, patients, run


def commands() -> list[str]:
    blocks = re.findall(r"<!-- tested -->\n((?:    .+\n)+)", (REPOSITORY / "README.md").read_text())
    return [line.strip() for block in blocks for line in block.splitlines()]


def test_the_commands_of_the_readme_work(workspace: Workspace) -> None:
    patients(rows=200).to_csv(workspace.root / "patients.csv", index=False)
    patients(rows=20, seed=5).drop(columns="ill").to_csv(workspace.root / "new.csv", index=False)
    (workspace.root / "studies" / "tiny.yaml").unlink()
    shutil.copyfile(REPOSITORY / "params.yaml", workspace.root / "params.yaml")
    own = {"MEDLOOP_HOME": str(workspace.root / ".medloop")}  # its last command stops its servers
    typed = commands()
    assert len(typed) >= 8
    for line in typed:
        program, *arguments = shlex.split(line)
        result = run([str(MEDLOOP.with_name(program)), *arguments], workspace.root, own)
        assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
    assert (workspace.root / "scores.csv").read_text().count("\n") == 21
