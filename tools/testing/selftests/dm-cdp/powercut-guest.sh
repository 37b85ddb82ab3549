#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The part of powercut.sh in the VM.

. "$(dirname "$0")/lib.sh"

load_module
tool=$TREE/out/userspace/cdp-tool
[[ -f $tool && -x $tool ]] || tool=$TREE/userspace/cdp-tool/cdp-tool
if [[ $1 == verify && -f $tool && -x $tool ]]; then
	"$tool" check "$2" "$3" || exit
fi
exec "$PROGRAMS/cdp_powercut" "$@"
