"""Every attack of the soak, with few cases."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak import configs, disks, files, kills, lines, together
from tests.soak.kinds import KINDS, Kind, World

FEW = {configs: 150, disks: 3, files: 6, kills: 1, lines: 150, together: 1}
SLOW = {configs.accepted: 3}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_an_attack_does_no_harm(
    kind: Kind, tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    few = SLOW.get(kind.attack) or FEW[sys.modules[kind.attack.__module__]]
    attack = Kind(kind.name, kind.goal, kind.share, kind.attack)
    attack.run(World(tmp_path, tiny_config, tiny_run, seed=3), few, 600)
    assert attack.faults == [] and attack.cases == few


def test_a_command_without_a_group_of_its_own_is_killed() -> None:
    process = subprocess.Popen(["sleep", "100"])
    kills.send(signal.SIGKILL, process.pid)
    assert process.wait(10) == -signal.SIGKILL
