#!/usr/bin/env bash
# Make .venv with the exact versions of constraints.txt; do nothing where that was done.
# Usage: scripts/setup.sh [EXTRA]   (EXTRA: a group of pyproject.toml's optional dependencies)
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:+[$1]}
[ -z "$extra" ] || grep -q "^$1 = \[" pyproject.toml || {
  echo "setup: pyproject.toml has no extra $1" >&2
  exit 1
}
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: $("$python" --version) is too old: nmt needs Python 3.11 or newer; set PYTHON=…" >&2
  exit 1
}
want=$(cat pyproject.toml scripts/constraints.txt | "$python" -c \
  'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
stamp=.venv/nmt-setup${1:+-$1}
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0
echo "setup: installing into .venv (once)" >&2
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
  -c scripts/constraints.txt -e ".$extra"
echo "$want" >"$stamp"
