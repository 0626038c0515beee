#!/usr/bin/env bash
# Every check: format, lint, types, tests. Words after it go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev
.venv/bin/ruff format --check .
.venv/bin/ruff check .
.venv/bin/mypy
.venv/bin/python -m pytest --numprocesses auto "$@"
