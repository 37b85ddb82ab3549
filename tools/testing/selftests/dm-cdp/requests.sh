#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What requests to a volume become on the data device: how many, of what kind, and
# none that need not be.

. "$(dirname "$0")/lib.sh"

size=65536
RANDOM=${SEED:=$RANDOM}

# The counters of a block device, by its path: see Documentation/block/stat.rst
stat_of()
{
	read -ra stat < "/sys/block/${1#/dev/}/stat"
	read_sectors=${stat[2]} writes=${stat[4]} written_sectors=${stat[6]} discards=${stat[11]}
}

# What has changed since the last call, in $new_...
count()
{
	local r=${read_sectors:-0} w=${writes:-0} s=${written_sectors:-0} d=${discards:-0}

	stat_of "$data"
	new_read=$((read_sectors - r))
	new_writes=$((writes - w))
	new_written=$((written_sectors - s))
	new_discards=$((discards - d))
}

# The data device is one of device-mapper's, which counts; a RAM disk does not.
counted()
{
	create data 1048576 linear $ram1 0
	data=$(node data)
	pool_open $ram0 "$data" 8 2 checkpoint_ms 3600000
	volume_new v $size
	dev=$(node v)
	count
}

aligned()
{
	local i kib at written=0

	note "SEED=$SEED"
	counted
	for i in {1..200}; do
		kib=$((4 * (1 + RANDOM % 64)))
		at=$((RANDOM % (8192 - 64) * 4))
		put v "$i" $kib $at
		written=$((written + 2 * kib))
	done
	count
	same 'sectors read by aligned writes' $new_read 0
	((new_written >= written)) || fail "$written sectors written, $new_written below"
	holds v 200 $kib $at
	flush v
	count
	flush v
	count
	same 'sectors read by a flush' $new_read 0
	# The counter works: a part of a block needs the rest of it.
	dd if=/dev/zero of="$dev" bs=512 count=1 seek=$((at * 2)) oflag=direct conv=notrunc status=none
	count
	((new_read > 0)) || fail 'a write of one sector read nothing'
}
it 'a write of whole blocks reads nothing' aligned

whole()
{
	counted
	dd if=/dev/urandom of=random bs=1M count=16 status=none
	dd if=random of="$dev" bs=1M oflag=direct conv=notrunc status=none
	count
	# As large as they came; the extents' levels do not cut them.
	((new_writes <= 20)) || fail "16 writes of 1 MiB became $new_writes"
	((new_written >= 32768 && new_written <= 32768 + 256)) ||
		fail "32768 sectors written, $new_written below"
	same 'sectors read' $new_read 0
	cmp -n 16777216 random "$dev"
	count
	# And back: what was written as one is read as one.
	dd if="$dev" of=/dev/null bs=1M count=16 iflag=direct status=none
	count
	same 'sectors read' $new_read 32768
}
it 'a write of 1 MiB goes to the data device as one request' whole

# A loop device on a file in memory knows write-zeroes, so the volume has them too.
zeroing_stack()
{
	local file=/dev/shm/cdptest-data

	modprobe -q loop || skip 'no loop devices'
	truncate -s 96M $file || skip 'no file in /dev/shm'
	data=$(losetup --find --show $file)
	# shellcheck disable=SC2064
	trap "rm $file; losetup -d $data" EXIT
	(($(< "/sys/block/${data#/dev/}/queue/write_zeroes_max_bytes"))) ||
		skip 'a loop device has no write-zeroes here'
	pool_open $ram0 "$data" 8 2 checkpoint_ms 3600000
	volume_new v $size
	dev=$(node v)
	(($(< "$(sysfs v)/queue/write_zeroes_max_bytes") >= 1048576)) ||
		fail 'the volume offers no write-zeroes'
}

used_blocks()
{
	local words

	ask status pool
	read -ra words <<< "$answer"
	used=${words[2]%/*}
}

# Nothing but a little of the journal may have been written or discarded below.
nothing_below()	# WHAT
{
	local before=$used

	count
	((new_written <= 64)) || fail "$1: $new_written sectors written below"
	same "$1: discards below" $new_discards 0
	used_blocks
	same "$1: blocks in use" "$used" "$before"
}

zeroing()
{
	local was t

	zeroing_stack
	flushed_put v 1 16384
	was=$(sum v)
	ask message pool mark full v
	used_blocks
	count
	ask zeroout "$dev" $((8 << 20)) $((1 << 20))
	nothing_below 'zeroing of 8 MiB'
	zeroes v 8192 1024
	holds v 1 1024
	ask zeroout "$dev" 4096 $((12 << 20))
	ask discard "$dev" $((1 << 20)) $((14 << 20))
	nothing_below 'zeroing of a block, and a discard'
	zeroes v 4 12288
	zeroes v 1024 14336
	t=$(now)
	view_open before v $size @full
	same 'the view of before' "$(sum before)" "$was"
	remove before
	ask message pool revert v @full
	same 'the zeroing undone' "$(sum v)" "$was"
	nothing_below 'a revert'
	ask message pool revert v "$t"
	zeroes v 8192 1024
	zeroes v 4 12288
	zeroes v 1024 14336
	was=$(sum v)
	remove v pool
	pool_open $ram0 "$data"
	volume_open v $size
	same 'the zeroing after a reopen' "$(sum v)" "$was"
	remove v pool
}
it 'write-zeroes and discards are versions that take no space and can be undone' zeroing

# Zeroing has to be exact, where a discard may leave out the parts.
zeroing_parts()
{
	local was

	zeroing_stack
	flushed_put v 1 4096
	was=$(sum v)
	ask message pool mark full v
	dd if="$dev" of=before bs=1M count=4 iflag=direct status=none
	# From the middle of a block to the middle of another, and within one.
	ask zeroout "$dev" $((1 << 20)) 1536
	ask zeroout "$dev" 512 $((3 << 20))
	dd if=/dev/zero of=before bs=512 seek=3 count=2048 conv=notrunc status=none
	dd if=/dev/zero of=before bs=512 seek=6144 count=1 conv=notrunc status=none
	cmp -n 4194304 before "$dev"
	ask message pool revert v @full
	same 'the zeroing undone' "$(sum v)" "$was"
	remove v pool
}
it 'zeroing that begins and ends within a block is exact, and can be undone' zeroing_parts

run_tests
