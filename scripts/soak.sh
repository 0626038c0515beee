#!/usr/bin/env bash
# Stress-test every command for at most 30 minutes: damaged files, odd text, kills. Prints one table.
# scripts/soak.sh [--minutes N] [--cases SHARE] [--only WORDS] [--seed N]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev
exec .venv/bin/python -m tests.soak "$@"
