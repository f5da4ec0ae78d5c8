#!/usr/bin/env bash
# Evaluates on several GPUs (or CPU processes if none is visible), on one or more machines.
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# Several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=10.1.1.1 PORT=29500 bash tools/dist_test.sh ...
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,4s/^# *//p' "$0" >&2
  exit 2
fi
GPUS="$3" exec python -m cbsa_mm.torchrun \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  --nproc_per_node="$3" \
  "$(dirname "$0")/test.py" "$1" "$2" --launcher pytorch "${@:4}"
