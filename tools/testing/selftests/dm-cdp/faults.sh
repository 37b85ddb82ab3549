#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Devices that fail: nothing that was flushed may be lost, nothing wrong be read.

. "$(dirname "$0")/lib.sh"

size=16384
meta_size=32768
data_size=262144

# The pool stands on two devices whose tables can be swapped for worse ones.
stack()
{
	modprobe -q dm-flakey || skip 'no dm-flakey'
	create meta $meta_size linear $ram0 0
	create data $data_size linear $ram1 0
	pool_open "$(node meta)" "$(node data)" 8 2 checkpoint_ms 100
	volume_new v $size
}

swap()	# NAME SECTORS TARGET...
{
	local name=$1 sectors=$2

	shift 2
	ask load rw "$name" "$sectors" "$@" && ask suspend-noflush "$name" && resume "$name"
}

good_again()
{
	swap meta $meta_size linear $ram0 0
	swap data $data_size linear $ram1 0
}

reopen()
{
	remove v pool
	good_again
	pool_open "$(node meta)" "$(node data)"
	volume_open v $size
}

data_errors()
{
	local was

	stack
	flushed_put "v" 1 4096
	was=$(sum "v")
	swap data $data_size error
	refused dd if=/dev/zero of="$(node v)" bs=4k count=1 oflag=direct conv=notrunc
	refused dd if="$(node v)" of=/dev/null bs=4k count=1 iflag=direct
	reopen
	same 'what was flushed' "$(sum "v")" "$was"
	flushed_put "v" 2 64
}
it 'errors of the data device are passed on and lose nothing that was flushed' data_errors

data_write_errors()
{
	local was

	stack
	flushed_put "v" 1 4096
	was=$(sum "v")
	swap data $data_size flakey $ram1 0 0 600 1 error_writes
	refused dd if=/dev/zero of="$(node v)" bs=4k count=256 oflag=direct conv=notrunc
	refused dd if=/dev/zero of="$(node v)" bs=512 count=1 oflag=direct conv=notrunc
	same 'what is read meanwhile' "$(sum "v")" "$was"
	swap data $data_size linear $ram1 0
	same 'what is read afterwards' "$(sum "v")" "$was"
	reopen
	same 'what was flushed' "$(sum "v")" "$was"
}
it 'a write that failed leaves what was there before' data_write_errors

flush_errors()
{
	local was

	stack
	flushed_put "v" 1 1024
	was=$(sum "v")
	# The write is done, its record cannot be written any more.
	put "v" 2 64
	swap data $data_size flakey $ram1 0 0 600 1 error_writes
	if flush v 2>/dev/null; then
		# A checkpoint came first: then it has to be durable.
		reopen
		holds v 2 64
		return
	fi
	# A message needs the journal too.
	refused message mark m '*'
	refused message create_volume w 64
	reopen
	holds v 2 64 2>/dev/null || same 'the volume' "$(sum v)" "$was"
	same 'marks' "$(message list_marks)" ''
	flushed_put "v" 3 64
}
it 'a flush that cannot reach the journal fails' flush_errors

metadata_errors()
{
	local was waiter

	stack
	flushed_put "v" 1 4096
	was=$(sum "v")
	expect_event
	swap meta $meta_size error
	put "v" 1 4 || true
	refused message checkpoint
	wait $waiter
	matches 'the mode' "$(mode)" '^(ro|fail)$'
	refused dd if=/dev/zero of="$(node v)" bs=4k count=1 oflag=direct conv=notrunc
	refused message mark m '*'
	refused message revert v "$(now)"
	reopen
	same 'what was flushed' "$(sum "v")" "$was"
	same 'the mode after a reopen' "$(mode)" rw
	flushed_put "v" 2 64
}
it 'when the metadata device fails the pool turns read-only, with an event' metadata_errors

lost_writes()
{
	local was

	modprobe -q dm-flakey || skip 'no dm-flakey'
	create both $((meta_size + data_size)) linear $ram0 0
	create meta $meta_size linear "$(node both)" 0
	create data $data_size linear "$(node both)" $meta_size
	pool_open "$(node meta)" "$(node data)" 8 2 checkpoint_ms 100
	volume_new v $size
	flushed_put "v" 1 4096
	message mark m '*'
	was=$(sum "v")
	# From here on everything is acknowledged and nothing is written.
	swap both $((meta_size + data_size)) flakey $ram0 0 0 600 1 drop_writes
	put "v" 2 4096 2048
	message revert v @m || true
	remove v pool
	swap both $((meta_size + data_size)) linear $ram0 0
	pool_open "$(node meta)" "$(node data)"
	volume_open v $size
	same 'what was there before' "$(sum "v")" "$was"
	matches 'the mark' "$(message list_marks)" ' m '
	matches 'branches' "$(status v)" "^[0-9]+ $size 1 "
}
it 'disks that lose writes from one moment on show the pool of that moment' lost_writes

flaky_under_load()
{
	local i

	stack
	flushed_put "v" 1 8192
	message mark m v
	for i in 1 2 3; do
		swap data $data_size flakey $ram1 0 0 600 1 error_writes
		fio --name=x --filename="$(node v)" --rw=randwrite --bs=4k --size=8M --io_size=4M --direct=1 \
			--ioengine=libaio --iodepth=8 --fsync=8 --continue_on_error=all > fio.out 2>&1 || true
		reopen
		message revert v @m
		holds v 1 8192
	done
}
it 'after write errors under load every mark still reads as it did' flaky_under_load

# Each allocation that the kernel makes for the command fails, one after the other, until
# there is none left. A % in the command stands for the number; a function is called with it
# after each failure, and one after each success.
each_allocation()	# IF-FAILED IF-WORKED COMMAND...
{
	local n hits=0 failures=0 hit error if_failed=$1 if_worked=$2

	shift 2
	for ((n = 1; ; n++)); do
		((n < 3000)) || fail "'$*' makes no end of allocations"
		ask failing $n "${@//%/$n}"
		read -r hit error <<< "$answer"
		# Wrong content would be EILSEQ, 84.
		((error != 84)) || fail "'$*' with allocation $n failing: wrong content"
		if ((error)); then
			failures=$((failures + 1))
			$if_failed $n
		else
			$if_worked $n
		fi
		((hit)) || break
		hits=$((hits + 1))
	done
	((error == 0)) || fail "'$*' fails with error $error although no allocation did"
	((hits)) || fail "'$*' made no allocation that could fail"
	note "$1 ${2:-}: $hits allocations failed, $failures times the command with them"
}

has_no_mark() { [[ $(message list_marks) != *" m$1 "* ]] || fail "mark m$1 failed and is there"; }
has_mark() { [[ $(message list_marks) == *" m$1 "* ]] || fail "mark m$1 is missing"; }
has_no_volume() { [[ $(message list_volumes) != *" n$1 "* ]] || fail "volume n$1 failed and is there"; }
has_volume() { [[ $(message list_volumes) == *" n$1 "* ]] || fail "volume n$1 is missing"; }
has_no_view() { matches "the table after load $1 failed" "$(table x)" ' error'; }
has_view()
{
	ask suspend x
	resume x
	holds x 1 1024
	ask load ro x $size error
	ask suspend x
	resume x
}
has_nothing() { :; }
has_written() { holds v "$1" 64 5120; }
has_discarded()
{
	zeroes v 64 5120
	flushed_put v 3 64 5120
}
# Either the past or the present.
not_reverted() { same "the volume after revert $1 failed" "$(sum v)" "$was"; }
has_reverted()
{
	same "the volume, reverted" "$(sum v)" "$past"
	message revert v @present > /dev/null
}

memory()
{
	local f=/sys/kernel/debug/failslab was past dev

	[[ -d $f ]] || skip 'this kernel has no failslab (a debug kernel has)'
	[[ -e /proc/self/fail-nth ]] || skip 'this kernel has no /proc/PID/fail-nth'
	echo 0 > $f/verbose
	echo N > $f/ignore-gfp-wait
	stack
	dev=$(node v)
	flushed_put v 1 4096
	message mark past v > /dev/null
	past=$(sum v)
	flushed_put v 2 64 4096
	message mark present v > /dev/null
	was=$(sum v)
	each_allocation has_nothing has_nothing holds "$dev" 1 1024 0
	each_allocation has_no_mark has_mark message pool mark m% v
	each_allocation has_no_volume has_volume message pool create_volume n% 64
	# Not a new device: device-mapper itself leaks a name when that has no memory for sysfs.
	create_ro x $size error
	each_allocation has_no_view has_view load ro x $size cdp-view "$(node pool)" v "$(now)"
	remove x
	each_allocation not_reverted has_reverted message pool revert v @past
	same 'the volume' "$(sum v)" "$was"
	# Elsewhere than what was flushed.
	each_allocation has_nothing has_written put "$dev" % 64 5120
	each_allocation has_nothing has_discarded discard "$dev" 65536 $((5120 * 1024))
	put v 4 64 5120
	each_allocation has_nothing has_nothing flush "$dev"
	same 'the mode' "$(mode)" rw
	was=$(sum v)
	holds v 1 4096
	holds v 2 64 4096
	holds v 4 64 5120
	lists > before
	reopen
	lists | cmp - before
	same 'the volume after a reopen' "$(sum v)" "$was"
}
it 'each allocation may fail: one request with it, or none, and nothing else' memory

run_tests
