#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# File systems on a volume: a disaster, its undoing, and the way back to it.

. "$(dirname "$0")/lib.sh"

size=819200	# 400 MiB: xfs wants 300

mount_volume()
{
	mkdir -p mnt
	mount "$@" "$(node v)" mnt
}

# Some hundred files out of the tree and the system.
fill()
{
	local source

	for source in "$TREE/dm-cdp" "$TREE/tools/testing/selftests" /usr/share/zoneinfo/America; do
		[[ -d $source ]] && cp -r --parents "$source" mnt/
	done
	mkdir mnt/many
	(cd mnt/many && seq 20000 | split -l 50 -a 3)
	dd if=/dev/urandom of=mnt/random bs=64k count=128 status=none
	ln mnt/random mnt/hard
	ln -s random mnt/soft
	mkdir mnt/empty
}

sums()
{
	(cd mnt && find . -type f -print0 | sort -z | xargs -0 cksum && find . ! -type f | sort)
}

check_fs()	# FS
{
	case $1 in
	ext4) e2fsck -f -n "$(node v)" ;;
	xfs) xfs_repair -n "$(node v)" ;;
	esac > fsck.out 2>&1 || fail "$1 is not clean: $(tail -n 5 fsck.out)"
}

disaster_and_back()	# FS
{
	local t

	modprobe -q "$1" || skip "no $1"
	command -v "mkfs.$1" >/dev/null || skip "no mkfs.$1"
	pool_open
	volume_new v $size
	"mkfs.$1" -q "$(node v)"
	mount_volume
	fill
	sums > before
	(($(wc -l < before) > 300)) || fail "only $(wc -l < before) files"
	umount mnt
	message mark good v

	mount_volume
	rm -rf mnt/many mnt/random mnt/"${TREE#/}"/tools
	echo disaster > mnt/note
	sums > after
	umount mnt
	t=$(now)

	message revert v @good
	check_fs "$1"
	mount_volume
	sums | cmp - before
	echo 'life goes on' > mnt/more
	umount mnt

	message revert v "$t"
	check_fs "$1"
	mount_volume
	sums | cmp - after
	umount mnt

	# The same from a view, while the volume is at the disaster.
	view_open past v $size @good
	mount_view "$1"
	sums | cmp - before
	umount mnt
}

mount_view()
{
	local options=ro

	[[ $1 == xfs ]] && options=ro,norecovery,nouuid
	mount -o $options "$(node past)" mnt
}

ext4() { disaster_and_back ext4; }
it 'ext4 comes back from rm -rf, and returns to the disaster' ext4
xfs() { disaster_and_back xfs; }
it 'xfs comes back from rm -rf, and returns to the disaster' xfs

# No unmount, no freeze: what a mark shows is a disk after a power cut.
live_mark()	# FS
{
	local i

	modprobe -q "$1" || skip "no $1"
	pool_open
	volume_new v $size
	"mkfs.$1" -q "$(node v)"
	mount_volume
	fill
	sync -f mnt
	: > busy
	(while [[ -e busy ]]; do cp -r mnt/usr mnt/copy; rm -r mnt/copy; done) &
	writer=$!
	for i in 1 2 3; do
		sync -f mnt
		message mark "m$i" v
	done
	kill -0 $writer || fail 'the writer ended too early'
	rm busy
	wait $writer
	umount mnt
	for i in 3 1 2; do
		message revert v @m$i
		mount_volume
		(cd mnt && sha256sum --quiet -c < ../random.sum)
		umount mnt
		check_fs "$1"
	done
}
ext4_live()
{
	fill() { dd if=/dev/urandom of=mnt/random bs=64k count=32 status=none; sha256sum mnt/random | sed 's# .*#  random#' > random.sum; cp -r --parents "$TREE/dm-cdp" mnt/ && mkdir mnt/usr && cp -r mnt/"${TREE#/}"/dm-cdp mnt/usr; }
	live_mark ext4
}
it 'a mark under a mounted, busy ext4 is one that its journal recovers' ext4_live

run_tests
