#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The file system itself, without snapshots.

. "$(dirname "$0")/lib.sh"
load_module
run_program hotsnap_files "$MODULE"
