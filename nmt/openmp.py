"""How long OpenMP's threads spin while they wait for each other."""

import os

_SPINS = "1000"


def limit_spinning() -> None:
    """Make waiting threads sleep after about 20 µs, unless the user has set how they wait.

    GNU OpenMP spins for milliseconds. Beside another busy process a waiting thread then burns the
    time that the thread it waits for needs, and training runs several times slower. The library
    reads its environment variables when it is loaded, so this must run before torch is imported.

    Speed of training (fp32, two cores, AMD EPYC), idle and beside one busy loop, relative to one
    thread, as `GOMP_SPINCOUNT=N nmt check CONFIG` measures it:

        spins                    300,000 (default)     2,000        1,000            0
        Multi30k recipe           1.71, 0.48                     1.63, 0.88    1.46, 0.94
        quickstart                1.56, 0.45        1.48, 0.70   1.41, 0.80    1.20, 0.94

    Source: libgomp manual, `GOMP_SPINCOUNT` and `OMP_WAIT_POLICY`.
    """
    if os.environ.keys().isdisjoint({"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}):
        os.environ["GOMP_SPINCOUNT"] = _SPINS
