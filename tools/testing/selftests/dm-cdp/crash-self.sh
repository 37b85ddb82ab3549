#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The replay of a log of writes, on plain devices.
exec "$(dirname "$0")/crash.sh" self
