#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The model's own test: it finds images that are no instant. No module is needed.

. "$(dirname "$0")/lib.sh"
run_program hotsnap_model self
