#!/usr/bin/env bash
# One model on several devices by torchrun, from the workspace:
#
#     infra/torchrun.sh STUDY MODEL [DEVICES]                            on this machine
#     NODES=2 FIRST=node-1:29500 infra/torchrun.sh STUDY MODEL 4         on each of two, four devices each
#
# with train.devices in the study as many as there are in all. Stages before train must be up to date.
set -euo pipefail
torchrun --nnodes "${NODES:-1}" --nproc-per-node "${3:-2}" --rdzv-backend c10d \
  --rdzv-endpoint "${FIRST:-localhost:0}" --no-python medloop stage train "$1" "$2"
