#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Snapshots, from the freeze to their end.

. "$(dirname "$0")/lib.sh"
load_module
run_program hotsnap_snapshot
