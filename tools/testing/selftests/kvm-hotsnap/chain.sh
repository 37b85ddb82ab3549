#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Increments, sources and forks.

. "$(dirname "$0")/lib.sh"
load_module
run_program hotsnap_chain
