#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The part of powercut.sh in the VM.

. "$(dirname "$0")/lib.sh"

load_module
tool=$TREE/out/userspace/cdp-tool
if [[ ! -x $tool ]]; then
	echo "$tool is not built" >&2
	exit 1
fi
if [[ $1 == verify ]]; then
	"$tool" check "$2" "$3" || exit
fi
exec "$PROGRAMS/cdp_powercut" "$@"
