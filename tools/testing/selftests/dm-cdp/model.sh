#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Model test, with small and large blocks, or the model's own test:
# model.sh [self]. CDP_SEED (or SEED) and CDP_MODEL_OPS reach cdp_model.

. "$(dirname "$0")/lib.sh"

export CDP_MODEL_OPS=${CDP_MODEL_OPS:-$([[ $LONG ]] && echo 20000 || echo 3000)}
exec 2>&1

cd "$(mktemp -d)" || exit
RAM_KIB=1048576 ram_disks
model=$(program cdp_model)
if [[ ${1:-} == self ]]; then
	modprobe dm-mod
	exec "$model" plain $ram0
fi
load_module
exec "$model" pool $ram0 $ram1 "${BLOCK:-8}"
