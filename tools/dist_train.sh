#!/usr/bin/env bash
# Trains on several GPUs (or CPU processes if none is visible), on one or more machines.
#   bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# With MAX_RESTARTS=3 bash tools/dist_train.sh ..., torchrun restarts failed processes up to three
# times; the run continues from the last checkpoint in its work dir, as with --resume.
# Several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=10.1.1.1 PORT=29500 bash tools/dist_train.sh ...
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,6s/^# *//p' "$0" >&2
  exit 2
fi
address=${MASTER_ADDR:-127.0.0.1} port=${PORT:-29500} rank=${NODE_RANK:-0}
meeting=(--node_rank="$rank" --master_addr="$address" --master_port="$port")
if [ "${MAX_RESTARTS:-0}" != 0 ]; then
  # Use a new rendezvous store each time, since the old one may have stale entries.
  export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
  meeting=(--max_restarts="$MAX_RESTARTS" --rdzv_backend=c10d --rdzv_endpoint="$address:$port"
           --rdzv_conf="is_host=$((rank == 0))")
fi
GPUS="$2" exec python -m cbsa_mm.torchrun --nnodes="${NNODES:-1}" --nproc_per_node="$2" "${meeting[@]}" \
  "$(dirname "$0")/train.py" "$1" --launcher pytorch "${@:3}"
