#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Devices that run full: writes fail after an event, all else goes on.

. "$(dirname "$0")/lib.sh"

size=65536

slices()	# METADATA-SECTORS DATA-SECTORS
{
	create meta "$1" linear $ram0 0
	create data "$2" linear $ram1 0
	pool_open "$(node meta)" "$(node data)" 8 4 journal_blocks 64 checkpoint_ms 100
}

# Writes pieces until one fails; $written says how many did not.
fill()	# DEVICE KIB-PER-PIECE PIECES
{
	for ((written = 0; written < $3; written++)); do
		flushed_put "$1" "$written" "$2" $((written * $2)) 2>> fill.err || return 0
	done
	fail "$3 pieces of $2 KiB fitted in"
}

check_pieces()	# DEVICE KIB COUNT
{
	local i

	for ((i = 0; i < $3; i++)); do
		holds "$1" $i "$2" $((i * $2))
	done
}

data_full()
{
	local was t t2

	slices 32768 32768
	volume_new v $size
	put "v" 0 1024 0
	t=$(now)
	was=$(sum "v")
	expect_event
	fill v 1024 32
	grep -q 'No space left' fill.err || fail "the failure: $(< fill.err)"
	wait $waiter
	wait_until mode_is out_of_data_space
	((written >= 8)) || fail "full after $written MiB of 16"
	# All that was written is there, and so is the past.
	check_pieces v 1024 "$written"
	view_open past v $size "$t"
	same 'the view' "$(sum "past")" "$was"
	remove past
	message mark full '*'
	message revert v "$t"
	same 'the volume after a revert' "$(sum "v")" "$was"
	message revert v @full
	check_pieces v 1024 "$written"
	message unmark full
	refused dd if=/dev/zero of="$(node v)" bs=1M count=1 oflag=direct conv=notrunc
	matches 'the refusal' "$(< refused.out)" 'No space left'
	# Tombstones need no blocks.
	holds v 0 64
	t2=$(now)
	blkdiscard -o 0 -l 65536 "$(node v)"
	zeroes v 64
	message revert v "$t2"
	holds v 0 64
	message revert v "$t"
	remove v pool
	pool_open "$(node meta)" "$(node data)"
	volume_open v $size
	same 'the volume after a reopen' "$(sum "v")" "$was"
	matches 'the mode after a reopen' "$(mode)" '^(rw|out_of_data_space)$'
}
it 'a full data device fails writes with ENOSPC after an event, and nothing else' data_full

space_comes_back()
{
	slices 32768 32768
	volume_new v $size
	volume_new small 2048
	put "small" 7 512 0
	fill v 1024 32
	mode_is out_of_data_space
	remove v
	message delete_volume v
	wait_until mode_is rw
	holds small 7 512
	put "small" 8 1024 0
	holds small 8 1024
}
it 'deleting a volume gives its space back' space_comes_back

metadata_full()
{
	local was t t2

	# The metadata device has 512 blocks; the versions of 480 MiB fill 487 leaves at the very least.
	slices 4096 1040384
	volume_new v $size
	put "v" 0 1024 0
	t=$(now)
	was=$(sum "v")
	expect_event
	if fio --name=fill --filename="$(node v)" --rw=randwrite --bs=4k --size=32M --io_size=480M --direct=1 \
		--ioengine=libaio --iodepth=16 --fsync=64 --randrepeat=0 > fio.out 2>&1; then
		fail 'the metadata device could not be filled'
	fi
	grep -q 'No space left' fio.out || fail "the failure: $(tail -n 20 fio.out)"
	wait $waiter
	matches 'the mode' "$(mode)" '^out_of_metadata_space$'
	sum "v" > /dev/null
	view_open past v $size "$t"
	same 'the view' "$(sum "past")" "$was"
	remove past
	message mark full '*'
	message revert v "$t"
	same 'the volume after a revert' "$(sum "v")" "$was"
	message unmark full
	remove v pool
	pool_open "$(node meta)" "$(node data)"
	volume_open v $size
	same 'the volume after a reopen' "$(sum "v")" "$was"
	remove v
	message delete_volume v
	wait_until mode_is rw
	volume_new w 2048
	put "w" 1 64 0
}
it 'a full metadata device fails writes after an event, and nothing else' metadata_full

full_under_load()
{
	slices 32768 65536
	volume_new v $size
	volume_new w $size
	fio --name=a --filename="$(node v)" --name=b --filename="$(node w)" --rw=randwrite --bs=4k \
		--size=32M --io_size=64M --direct=1 --ioengine=libaio --iodepth=16 --group_reporting \
		--randrepeat=0 > fio.out 2>&1 || true
	wait_until mode_is out_of_data_space
	sum "v" > was.v
	sum "w" > was.w
	remove v w pool
	pool_open "$(node meta)" "$(node data)"
	volume_open v $size
	volume_open w $size
	same 'v after a reopen' "$(sum "v")" "$(< was.v)"
	same 'w after a reopen' "$(sum "w")" "$(< was.w)"
}
it 'a pool that runs full under load closes and opens whole' full_under_load

run_tests
