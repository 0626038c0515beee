"""`scripts/benchmark_training.py` beside a stand-in for Marian, whose rate is known."""

import re
import sys
from pathlib import Path

from tests.scripts.running import run_script

PEER = f"""#!{sys.executable}
import sys, time
options = sys.argv[4:]
assert sys.argv[1:4] == ["-m", "pymarian", "train"]
source, target = (open(options[options.index("--train-sets") + side]) for side in (1, 2))
assert sum(1 for _ in source) == sum(1 for _ in target) > 0
names = open(options[-1]).read().splitlines()
assert names[0] == '"</s>": 0' and names[-1].endswith(f": {{len(names) - 1}}")
for update in (10, 20):
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    row = f"Ep. 1 : Up. {{update}} : Cost 1.0 * 5 @ 6 after {{update * 100:,}} : Time 1s"
    print(row, flush=True)
"""


def test_both_are_timed_between_the_same_updates(tiny_config: Path, tmp_path: Path) -> None:
    peer = tmp_path / "python"
    peer.write_text(PEER)
    peer.chmod(0o755)
    words = [tiny_config, "--peer", peer, "--updates", 10, "--rounds", 1]
    words += ["--training.max_updates", "null", "--training.max_epochs", 50]
    done = run_script("benchmark_training.py", tmp_path, *words)
    assert done.returncode == 0, done.stderr
    found = re.search(r"'nmt': ([\d.]+), 'Marian': ([\d.]+)", done.stdout)
    assert found and float(found[1]) > 0
    assert 1000 < float(found[2]) <= 2200  # 1,000 tokens in half a second
    ratio = float(found[1]) / float(found[2])
    assert f"{ratio:.2f} x" in done.stdout
