#!/usr/bin/env bash
# Check the page of `nmt serve`, and a report, in headless Chromium. Words after it go to pytest.
# Installs Chromium where there is none (Debian, as root). NMT_SCREENSHOTS=FOLDER keeps pictures.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "page_checks: there is no Chromium; install it" >&2
    exit 1
  fi
  echo "page_checks: installing Chromium (once)" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    chromium fonts-dejavu-core >/dev/null
fi
scripts/setup.sh page
exec .venv/bin/python -m pytest tests/page "$@"
