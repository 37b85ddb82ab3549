# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the shell of each suite needs to find its things. Sourced by the suite's lib.sh, which
# sets $here, the suite's folder, before.

suite=${here##*/}
TREE=${TREE:-${here%/tools/testing/selftests/*}}
MODULE_DIR=${MODULE_DIR:-$TREE/out/$(uname -r | cut -d. -f1,2)}
PROGRAMS=${PROGRAMS:-$TREE/out/selftests/$suite}
MODULE=$MODULE_DIR/$suite/$suite.ko
LONG=${LONG:-}

note()
{
	echo "# $*"
}

# The whole file cannot run.
skip_all()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit 0
}

# The C program of that name, built here if the tree's Makefile has not.
program()
{
	if [[ ! -x $PROGRAMS/$1 ]]; then
		note "$PROGRAMS/$1 is not built; building it here" >&2
		PROGRAMS=/tmp/$suite-programs
		make -s -C "$here" OUT="$PROGRAMS" >&2
	fi
	echo "$PROGRAMS/$1"
}
