#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The model test with blocks of 32 KiB: most writes cover blocks in part.
export CDP_MODEL_OPS=${CDP_MODEL_OPS:-$([[ ${LONG:-} ]] && echo 10000 || echo 1000)}
BLOCK=64 exec "$(dirname "$0")/model.sh"
