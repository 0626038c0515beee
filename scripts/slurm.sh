#!/usr/bin/env bash
# Train on several machines under SLURM. A job that is stopped or loses a machine continues.
# Usage: sbatch --nodes 2 --ntasks-per-node 8 --gpus-per-node 8 scripts/slurm.sh CONFIG --run RUN
# CONFIG, its data, RUN and data.cache are on storage that every machine reaches.
#SBATCH --job-name=nmt
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR1@120
set -euo pipefail
code=0
# --wait=0: the first process scores the tests after the others have ended.
srun --kill-on-bad-exit=1 --wait=0 nmt train "$@" --resume || code=$?
# 130: nmt wrote a checkpoint after the warning of --signal. Above 128: a process was killed.
if [ "$code" -gt 128 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
