#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One wrong byte in each kind of block: detected, never served.

. "$(dirname "$0")/lib.sh"

size=8192
journal=64

# Offsets in the superblock (struct cdp_super_disk).
incompat_at=40 journal_seq_at=80 tree_root_at=136 volumes_root_at=168 branches_root_at=176
marks_root_at=184 space_root_at=192 bitmap_index_at=216

stack()	# METADATA DATA
{
	create meta 4096 linear "$1" 0
	create data 24576 linear "$2" 0
}

open_stack()
{
	pool_open "$(node meta)" "$(node data)" 8 4 journal_blocks $journal checkpoint_ms 600000
}

# A pool with something in every structure; all of it checkpointed but what
# "$1" does afterwards. Leaves the devices' content, as after a crash, in files.
prepare()
{
	local i

	stack $ram0 $ram1
	open_stack
	volume_new v $size
	for i in 1 2 3; do
		put v "$i" 1024 $((i * 256))
		message mark "m$i" v
		message revert v @m1
	done
	put v 5 512 2048
	message checkpoint
	"${1:-true}"
	was=$(sum "v")
	catalog=$(lists)
	ask copy "$(node meta)" "$PWD/crash.meta"
	ask copy "$(node data)" "$PWD/crash.data"
	remove v pool meta data
	copy_is_good
}

crashed_copy()
{
	ask copy "$PWD/crash.meta" $ram2
	ask copy "$PWD/crash.data" $ram3
}

# The untouched copy must open and be whole, or the rest proves nothing.
copy_is_good()
{
	crashed_copy
	stack $ram2 $ram3
	open_stack
	volume_open v $size
	same 'the copy' "$(sum "v")" "$was"
	same 'the lists of the copy' "$(lists)" "$catalog"
	remove v pool meta data
	crashed_copy
}

flip() { ask flip "$1" "$2"; }
le64() { tell le64 "$1" "$2"; }

# Makes the checksum of the first 512 bytes right again.
seal()	# DEVICE
{
	perl -e 'open(F, "+<", $ARGV[0]) or die; read(F, $b, 512);
		$c = 0xffffffff;
		for (unpack("C*", substr($b, 4))) {
			$c ^= $_;
			$c = $c & 1 ? $c >> 1 ^ 0x82f63b78 : $c >> 1 for 1 .. 8;
		}
		seek(F, 0, 0); print F pack("V", $c);' "$1"
	blockdev --flushbufs "$1"
}

# Every step either fails or gives what is right; one at least has to fail.
something_refuses()
{
	local bad=0 got

	stack $ram2 $ram3
	open_stack 2> open.err || return 0
	if got=$(lists 2>/dev/null); then
		same 'the lists' "$got" "$catalog"
	else
		bad=1
	fi
	if ! volume_open v $size 2>/dev/null; then
		return 0
	fi
	if got=$(sum v 2>/dev/null); then
		same 'the content' "$got" "$was"
	else
		bad=1
	fi
	# Now everything has to be read or rewritten.
	put v 9 1024 256 2>/dev/null || bad=1
	message mark new v >/dev/null 2>&1 || bad=1
	message checkpoint 2>/dev/null || bad=1
	[[ $(mode) == rw ]] || bad=1
	((bad)) || fail 'a wrong byte went unnoticed'
}

damaged()	# DEVICE OFFSET...: a wrong byte at each, one after the other
{
	local device=$1 offset

	shift
	for offset; do
		crashed_copy
		flip "$device" "$offset"
		(something_refuses) || fail "byte $offset of $device"
		ask remove_all
	done
}

superblock()
{
	prepare
	damaged $ram2 0 8 16 $tree_root_at 500
}
it 'a damaged superblock is refused' superblock

label()
{
	prepare
	damaged $ram3 0 8 16 300
}
it 'a damaged label is refused' label

metadata_block()	# OFFSET-OF-ROOT
{
	local root at offsets=()

	prepare
	root=$(le64 $ram2 "$1")
	((root > 0 && root < 512)) || fail "the root is block $root"
	for at in 1 8 70 4095; do
		offsets+=($((root * 4096 + at)))
	done
	damaged $ram2 "${offsets[@]}"
}
index() { metadata_block $tree_root_at; }
it 'a damaged index node is noticed' index
volumes() { metadata_block $volumes_root_at; }
it 'a damaged block of the volumes is noticed' volumes
branches() { metadata_block $branches_root_at; }
it 'a damaged block of the branches is noticed' branches
marks() { metadata_block $marks_root_at; }
it 'a damaged block of the marks is noticed' marks
space() { metadata_block $space_root_at; }
it 'a damaged block of the space bitmap is noticed' space
space_map() { metadata_block $bitmap_index_at; }
it 'a damaged block of the metadata space map is noticed' space_map

copy_block()	# FROM TO
{
	dd if=$ram2 of=block bs=4k skip="$1" count=1 iflag=direct status=none
	dd if=block of=$ram2 bs=4k seek="$2" count=1 oflag=direct conv=notrunc status=none
}

exchanged()
{
	prepare
	copy_block "$(le64 $ram2 $tree_root_at)" "$(le64 $ram2 $marks_root_at)"
	(something_refuses)
	ask remove_all
	# A node of the right kind in the wrong place.
	crashed_copy
	copy_block "$(le64 $ram2 $marks_root_at)" "$(le64 $ram2 $volumes_root_at)"
	(something_refuses)
}
it 'a block that stands in the wrong place is noticed' exchanged

# Flushes, one by one: each leaves a journal block or more.
journaled()
{
	local i

	for i in 1 2 3 4 5 6; do
		put "v" "1$i" 16 $((i * 16))
		flush v
	done
}

journal_sector_of()	# SEQ
{
	echo $((1 + $1 % journal))
}

journal_middle()
{
	local seq at

	prepare journaled
	for at in 0 32 80 200; do
		crashed_copy
		seq=$(le64 $ram2 $journal_seq_at)
		flip $ram3 $(($(journal_sector_of $((seq + 1))) * 4096 + at))
		journal_refused
		ask remove_all
	done
}

journal_refused()
{
	stack $ram2 $ram3
	refused_saying 'journal' open_stack
}

it 'a damaged journal block that others follow is refused' journal_middle

# The last block may be a write that a power cut tore: then what came before counts.
journal_last()
{
	local seq

	prepare journaled
	seq=$(le64 $ram2 $journal_seq_at)
	while [[ $(le64 $ram3 $(($(journal_sector_of $seq) * 4096 + 32))) == "$seq" ]]; do
		seq=$((seq + 1))
	done
	flip $ram3 $(($(journal_sector_of $((seq - 1))) * 4096 + 100))
	stack $ram2 $ram3
	open_stack
	volume_open v $size
	# The sixth write is gone, whole; the five before are there.
	holds v 15 16 80
	refused holds v 16 16 96
}
it 'a torn last journal block takes nothing but itself' journal_last

feature()
{
	prepare
	flip $ram2 $incompat_at
	seal $ram2
	stack $ram2 $ram3
	refused_saying 'feature' open_stack
	ask remove_all
	# A right checksum alone changes nothing.
	crashed_copy
	seal $ram2
	stack $ram2 $ram3
	open_stack
}
it 'an unknown incompatible feature is refused' feature

run_tests
