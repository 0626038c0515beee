#!/usr/bin/env bash
# Train a recipe, which scores it on test, and compare with its figure.
# Usage: scripts/reproduce.sh configs/NAME.yaml [--KEY VALUE …]   (continues an interrupted run)
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
exec .venv/bin/python scripts/reproduce.py "$@"
