#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tables and devices that go, or are suspended, in an order nobody should choose.

. "$(dirname "$0")/lib.sh"

size=16384

up()
{
	pool_open
	volume_new v $size
	put v 1 64 0
	flush v
}

inactive_table_goes()
{
	up
	ask load rw v $size cdp "$(node pool)" v
	suspend pool
	dmsetup clear "${prefix}v"
	resume pool
	# What hangs here would hang for good.
	timeout 60 dd if="$(node v)" of=/dev/null bs=64k count=1 iflag=direct status=none
	holds v 1 64 0
	put v 2 64 0
	holds v 2 64 0
}
it 'a table that is cleared while the pool is suspended leaves its volume usable' inactive_table_goes

swapped_table()
{
	up
	suspend v
	ask load rw v $size cdp "$(node pool)" v
	suspend pool
	resume pool
	resume v
	timeout 60 dd if="$(node v)" of=/dev/null bs=64k count=1 iflag=direct status=none
	holds v 1 64 0
}
it 'a volume that was suspended itself outlives the suspending of its pool' swapped_table

wiped_pool()
{
	up
	flushed_put v 3 64 0
	dmsetup wipe_table --noflush "${prefix}pool" > /dev/null
	refused timeout 60 dd if="$(node v)" of=/dev/null bs=64k count=1 iflag=direct
	matches 'the refusal' "$(< refused.out)" 'Input/output error'
	refused timeout 60 dd if=/dev/zero of="$(node v)" bs=64k count=1 oflag=direct conv=notrunc
	matches 'the refusal' "$(< refused.out)" 'Input/output error'
	remove v pool
	pool_open
	volume_open v $size
	holds v 3 64 0
}
it 'a volume whose pool was wiped fails at once, and its data are there afterwards' wiped_pool

pool_never_active()
{
	ask size $ram1
	dmsetup create "${prefix}pool" --notable
	dmsetup load "${prefix}pool" --table "0 $answer cdp-pool $ram0 $ram1 8"
	ask node pool
	dmsetup load "${prefix}pool" --table "0 8 error" 2> /dev/null || dmsetup clear "${prefix}pool"
	dmsetup remove "${prefix}pool"
	up
	holds v 1 64 0
}
it 'a pool whose table never became active leaves nothing behind' pool_never_active

no_io_of_its_own()
{
	local before

	create meta 262144 linear $ram0 0
	create data 1040384 linear $ram1 0
	pool_open "$(node meta)" "$(node data)"
	volume_new v 524288
	fio --name=fill --filename="$(node v)" --rw=randwrite --bs=4k --io_size=320M --direct=1 --ioengine=libaio \
		--iodepth=32 --norandommap > /dev/null
	remove v
	# Giving back so many versions takes several checkpoints, one right after the other.
	message delete_volume v
	suspend pool
	before=$(cat "$(sysfs meta)/stat" "$(sysfs data)/stat")
	sleep 1
	same 'what was done to the devices' "$(cat "$(sysfs meta)/stat" "$(sysfs data)/stat")" "$before"
	resume pool
	wait_until gave_all_back
}
it 'a suspended pool writes nothing of its own accord' no_io_of_its_own

gave_all_back()
{
	local words

	read -ra words <<< "$(status pool)"
	[[ ${words[2]%/*} == 0 ]]
}

run_tests
