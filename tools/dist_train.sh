#!/usr/bin/env bash
# Trains on several GPUs (or, where none is visible, CPU processes), on one machine or more.
#   bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py] [--max-restarts N]
# With --max-restarts, torchrun starts failed processes anew, and the run goes on from the last
# checkpoint in its work dir, as with --resume.
# Several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=10.1.1.1 PORT=29500 bash tools/dist_train.sh ...
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,6s/^# *//p' "$0" >&2
  exit 2
fi
exec python "$(dirname "$0")/torchrun.py" \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  --nproc_per_node="$2" \
  "$(dirname "$0")/train.py" "$1" --launcher pytorch "${@:3}"
