#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What is saved for a snapshot, and what happens when there is no room for it.

. "$(dirname "$0")/lib.sh"
load_module
run_program hotsnap_buffer
