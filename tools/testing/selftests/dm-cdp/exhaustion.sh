#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A metadata device that is full stays usable, whatever is asked of it: the pool never
# becomes read-only for want of a block, and opens again.

. "$(dirname "$0")/lib.sh"

size=65536

# A pool whose metadata device takes no more versions.
full_pool()
{
	create meta 4096 linear $ram0 0
	create data 1040384 linear $ram1 0
	pool_open "$(node meta)" "$(node data)"
	volume_new v $size
	put v 0 1024 0
	then=$(now)
	was=$(sum v)
	if fio --name=fill --filename="$(node v)" --rw=randwrite --bs=4k --size=32M --io_size=480M --direct=1 \
		--ioengine=libaio --iodepth="${1:-16}" --randrepeat=0 > fio.out 2>&1; then
		fail 'the metadata device could not be filled'
	fi
	grep -q 'No space left' fio.out || fail "the failure: $(tail -n 20 fio.out)"
	wait_until mode_is out_of_metadata_space
}

# It still does everything but grow, and opens again.
usable()
{
	message checkpoint
	mode_is out_of_metadata_space || fail "the mode is $(mode)"
	message revert v "$then"
	same 'the volume after a revert' "$(sum v)" "$was"
	remove v pool
	pool_open "$(node meta)" "$(node data)"
	volume_open v $size
	same 'the volume after a reopen' "$(sum v)" "$was"
	remove v
	message delete_volume v
	wait_until mode_is rw
	volume_new w 2048
	put w 1 64 0
	flush w
	holds w 1 64 0
}

sub_block_writes()
{
	local i

	full_pool
	for i in $(seq 0 39); do
		refused dd if=/dev/zero of="$(node v)" bs=512 count=1 seek=$((i * 16 + 1)) oflag=direct conv=notrunc
		matches 'the refusal' "$(< refused.out)" 'No space left'
	done
	usable
}
it 'sub-block writes fail on a full metadata device like all others' sub_block_writes

many_in_flight()
{
	full_pool 512
	usable
}
it 'five hundred writes in flight do not run over the reserve' many_in_flight

marks()
{
	local i

	full_pool
	for i in $(seq 1 3000); do
		ask message pool mark "m$i" '*' 2> refused.out || break
	done
	((i > 1 && i < 3000)) || fail "mark $i is where it ended"
	matches 'the refusal' "$(< refused.out)" 'No space left'
	mode_is out_of_metadata_space || fail "the mode is $(mode)"
	note "$((i - 1)) marks before there was no room"
	for i in $(seq 1 $((i - 1))); do
		message unmark "m$i"
	done
	usable
}
it 'marks on a full metadata device end with a refusal and not with the pool' marks

bursts()
{
	local i

	create meta 4096 linear $ram0 0
	create data 262144 linear $ram1 0
	pool_open "$(node meta)" "$(node data)"
	for i in $(seq 1 6000); do
		ask message pool mark "m$i" '*' 2> refused.out || break
	done
	matches 'the refusal' "$(< refused.out)" 'No space left'
	not mode_is ro
	note "$((i - 1)) marks"
	message unmark m1
	remove pool
	pool_open "$(node meta)" "$(node data)"
	message unmark m2
	not mode_is ro
}
it 'marks alone fill a metadata device without harm' bursts

run_tests
