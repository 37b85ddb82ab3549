#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Reverts, and devices that come and go, while reads and writes are in flight.

. "$(dirname "$0")/lib.sh"

size=8192
kib=4096

reverts_under_reads()
{
	local i

	pool_open
	volume_new v $size
	volume_new w $size
	put v 0 $kib
	ask message pool mark m0 v
	put v 1 $kib
	ask message pool mark m1 v
	view_open past v $size @m0
	view_open present v $size @m1
	# A read that a revert overtakes may show either, but nothing else.
	watch v 2 $kib $kib
	watch v 2 $kib $kib
	watch past 1 $kib $kib
	watch present 2 $kib $kib
	stomp w 0 16 1024
	for i in {1..12}; do
		ask message pool revert v @m0
		holds v 0 $kib
		holds present 1 $kib
		ask message pool revert v @m1
		holds v 1 $kib
		holds past 0 $kib
	done
	calm
	stomped w 0 16 1024 "${counts[4]}"
	matches 'branches' "$(status v)" "^[0-9]+ $size 25 "
	note "rounds of reads, and puts: ${counts[*]}"
}
it 'reads in flight show the past or the present while a volume is reverted' reverts_under_reads

reverts_under_writes()
{
	local i t n base last s

	pool_open
	volume_new v $size
	stomp v 0 16 1024
	calm
	n=${counts[0]}
	ask message pool mark base v
	base=$(sum v)
	view_open base v $size @base
	stomp v "$n" 16 1024
	for i in {1..12}; do
		ask message pool revert v @base
		t=${answer% *}
		# What the revert left behind stands still, and is made of whole puts.
		view_open left v $size "$t"
		s=$(sum left)
		made_of_puts left 1000000 16 1024
		made_of_puts v 1000000 16 1024
		same "what revert $i left, later" "$(sum left)" "$s"
		same "the mark after revert $i" "$(sum base)" "$base"
		remove left
	done
	calm
	n=$((n + counts[0]))
	made_of_puts v "$n" 16 1024
	# The last put came after the last revert.
	last=$((n - 1))
	holds v $last 16 $((last % 64 * 16))
	s=$(sum v)
	remove v base pool
	pool_open
	volume_open v $size
	same 'the volume after a reopen' "$(sum v)" "$s"
	ask message pool revert v @base
	same 'the mark after a reopen' "$(sum v)" "$base"
	note "$n puts"
}
it 'writes in flight land before a revert or after it, whole' reverts_under_writes

views_come_and_go()
{
	local i

	pool_open
	volume_new v $size
	volume_new w $size
	put v 0 $kib
	ask message pool mark m v
	view_open past v $size @m
	put v 1 $kib
	watch past 1 $kib $kib
	watch v 2 $kib $kib
	stomp w 0 16 1024
	for i in {1..15}; do
		view_open "x$i" v $size @m
		view_open y w $size "$(now)"
		holds "x$i" 0 1024
		remove y "x$i"
	done
	# Each takes seconds, as libdevmapper tries again and again.
	refused remove past
	refused remove v
	calm
	stomped w 0 16 1024 "${counts[2]}"
	remove past v w
}
it 'views come and go while others are read and volumes are written' views_come_and_go

volumes_come_and_go()
{
	local i

	pool_open
	volume_new v $size
	volume_new w $size
	put v 0 $kib
	ask message pool mark m v
	view_open past v $size @m
	put v 1 $kib
	watch past 1 $kib $kib
	stomp w 0 16 1024
	for i in {1..15}; do
		remove v
		volume_open v $size
		holds v 1 $kib
		ask message pool create_volume "x$i" $size
		volume_open "x$i" $size
		put "x$i" "$i" 256
		remove "x$i"
		ask message pool delete_volume "x$i"
	done
	calm
	stomped w 0 16 1024 "${counts[1]}"
}
it 'volumes are opened, closed and deleted while others are read and written' volumes_come_and_go

deferred()
{
	pool_open
	volume_new v $size
	put v 0 $kib
	view_open past v $size "$(now)"
	watch past 1 $kib $kib
	stomp v 0 64 $kib
	# A put opens the device for itself; so that it is open between them, too:
	exec 7< "$(node v)"
	ask defer past
	ask defer v
	ask defer pool
	exists past
	exists v
	exists pool
	calm
	exists v
	exec 7<&-
	wait_until not exists past
	wait_until not exists v
	wait_until not exists pool
	pool_open
	volume_open v $size
	stomped v 0 64 $kib "${counts[1]}"
}
it 'a deferred remove waits for reads and writes in flight' deferred

# The table of a device in use gives way to one of errors, as dmsetup remove --force does.
errors_for()	# NAME ro|rw
{
	ask load "$2" "$1" $size error
	ask suspend-noflush "$1"
	resume "$1"
}

forced()
{
	local i

	pool_open
	volume_new v $size
	stomp v 0 64 $kib
	calm
	for i in 1 2 3 4 5; do
		view_open past v $size "$(now)"
		watch past 1000000 64 $kib
		errors_for past ro
		work_breaks
		remove past
		stomp v 0 64 $kib
		errors_for v rw
		work_breaks
		remove v
		volume_open v $size
		made_of_puts v 1000000 64 $kib
	done
	stomp v 0 64 $kib
	calm
	stomped v 0 64 $kib "${counts[0]}"
}
it 'a forced remove ends reads and writes in flight with an error, and harms nothing' forced

run_tests
