#!/usr/bin/env bash
# From nothing to a BLEU score: set up, train German→English on the built-in corpus, translate.
# Run again, it only translates and scores; an interrupted training run continues.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
run=runs/quickstart
if [ -f "$run/model/bundle.json" ] && [ -f "$run/scores.test.json" ] && [ -f "$run/scores.long.json" ]
then echo "The model is there: $run/model"
else .venv/bin/nmt train configs/quickstart.yaml --run "$run" --resume
fi
echo
.venv/bin/nmt translate "$run" scripts/examples/quickstart.de -o "$run/quickstart.en"
paste -d '\n' scripts/examples/quickstart.de "$run/quickstart.en" | sed 'n;s/^/  → /'
for split in test long; do
  echo
  echo "$split:"
  .venv/bin/nmt evaluate "$run" --split "$split"
done
