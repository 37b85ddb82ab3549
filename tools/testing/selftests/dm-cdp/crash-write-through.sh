#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The crash test with a metadata device that has no volatile cache.
exec "$(dirname "$0")/crash.sh" through
