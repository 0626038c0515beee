"""How threads wait: the variable that libgomp reads when torch loads it."""

import json
import os
import subprocess
import sys

SHOW = """
import json, os, sys, nmt
assert "torch" not in sys.modules
print(json.dumps({name: os.environ.get(name) for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}))
"""


def environment(**variables: str) -> dict[str, str | None]:
    """Return OpenMP's variables after `import nmt`, where only the given ones were set before."""
    own = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=own | variables, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def test_importing_nmt_limits_spinning_before_torch_loads() -> None:
    assert environment() == {"GOMP_SPINCOUNT": "1000", "OMP_WAIT_POLICY": None}


def test_what_the_user_has_set_stays() -> None:
    assert environment(GOMP_SPINCOUNT="77")["GOMP_SPINCOUNT"] == "77"
    passive = environment(OMP_WAIT_POLICY="ACTIVE")
    assert passive == {"GOMP_SPINCOUNT": None, "OMP_WAIT_POLICY": "ACTIVE"}
