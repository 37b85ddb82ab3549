# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by the kvm-hotsnap tests, which are C programs: this finds them and the module.

set -u -o pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=tools/testing/selftests/lib/suite.sh
. "$here/../lib/suite.sh"

load_module()
{
	[[ -d /sys/module/kvm_hotsnap ]] && return
	[[ -e $MODULE ]] || skip_all "$MODULE is not built"
	insmod "$MODULE"
}

# The C program of that name with its arguments, in place of this shell
run_program()
{
	local path

	path=$(program "$1")
	exec "$path" "${@:2}" 2>&1
}
