#!/usr/bin/env bash
# Trains under SLURM, one task per GPU or, with SRUN_ARGS=--gres=none, per CPU process.
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
# The job is set by GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), PORT (29500) and SRUN_ARGS in
# the environment.
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,5s/^# *//p' "$0" >&2
  exit 2
fi
gpus="${GPUS:-8}" gpus_per_node="${GPUS_PER_NODE:-8}"
per_node=$((gpus < gpus_per_node ? gpus : gpus_per_node))
export MASTER_PORT="${PORT:-29500}"
# SRUN_ARGS is intentionally split into words.
# shellcheck disable=SC2086
exec srun -p "$1" --job-name="$2" --gres="gpu:$per_node" --ntasks="$gpus" \
  --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
  ${SRUN_ARGS:-} \
  python -u "$(dirname "$0")/train.py" "$3" --launcher slurm "${@:4}"
