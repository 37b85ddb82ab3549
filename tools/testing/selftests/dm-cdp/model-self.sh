#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The model against a plain device: it must agree, and see what is wrong.
export CDP_MODEL_OPS=${CDP_MODEL_OPS:-600}
exec "$(dirname "$0")/model.sh" self
