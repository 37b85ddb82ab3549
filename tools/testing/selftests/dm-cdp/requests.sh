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

run_tests
