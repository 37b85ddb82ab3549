#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Random operations of two processes, and snapshots that have to be instants of them.

. "$(dirname "$0")/lib.sh"
load_module
[[ $LONG ]] && export HOTSNAP_ROUNDS=${HOTSNAP_ROUNDS:-1000}
run_program hotsnap_model
