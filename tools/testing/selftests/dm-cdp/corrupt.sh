#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One wrong byte in each kind of block: detected, never served, and told by cdp-tool check.

. "$(dirname "$0")/lib.sh"

size=8192
journal=64

# Offsets in the superblock (struct cdp_super_disk).
incompat_at=40 journal_seq_at=80 tree_root_at=136 volumes_root_at=168 branches_root_at=176
marks_root_at=184 space_root_at=192 bitmap_index_at=216 ref_counts_at=224
# In a node of the index (struct cdp_node_disk, struct cdp_inner_entry_disk)
nr_entries_at=40 level_at=42 inner_entries_at=64 inner_entry_size=24 child_at=16

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
	# More versions of one block each than a leaf of the index holds, all of them visible.
	for ((i = 0; i < 600; i++)); do
		put v "$i" 4 $((i * 37 % 1024 * 4))
	done
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

# cdp-tool check of the copy has to end with the status; what it says is in $checked.
check_says()	# STATUS
{
	local status=0

	checked=$(cdp-tool check "$(node meta)" "$(node data)" 2>&1) || status=$?
	((status == $1)) || fail "cdp-tool check ended with $status instead of $1: $checked"
}

# The same of a copy that is not stacked yet: it has to say what is damaged.
check_tells()
{
	stack $ram2 $ram3
	check_says 1
	matches 'cdp-tool check' "$checked" 'damage: |cdp-tool: '
	remove meta data
}

# The untouched copy must open and be whole, or the rest proves nothing.
copy_is_good()
{
	crashed_copy
	stack $ram2 $ram3
	check_says 0
	open_stack
	volume_open v $size
	same 'the copy' "$(sum "v")" "$was"
	same 'the lists of the copy' "$(lists)" "$catalog"
	remove v pool meta data
	crashed_copy
}

flip() { ask flip "$1" "$2"; }
le64() { tell le64 "$1" "$2"; }

# Every step either fails or gives what is right; one at least has to fail, unless it is
# something that the module need not read.
something_refuses()	# [unread]
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
	((bad)) || [[ ${1:-} == unread ]] || fail 'a wrong byte went unnoticed'
}

damaged()	# DEVICE OFFSET...: a wrong byte at each, one after the other
{
	local device=$1 offset

	shift
	for offset; do
		crashed_copy
		flip "$device" "$offset"
		(check_tells && something_refuses ${unread:+unread}) || fail "byte $offset of $device"
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

damaged_blocks()	# METADATA-BLOCK...
{
	local block at offsets=()

	for block; do
		((block > 0 && block < 512)) || fail "there is no block $block"
		for at in 1 8 70 4095; do
			offsets+=($((block * 4096 + at)))
		done
	done
	damaged $ram2 "${offsets[@]}"
}

metadata_block()	# OFFSET-OF-ROOT
{
	prepare
	damaged_blocks "$(le64 $ram2 "$1")"
}

# A word of a metadata block
word_of()	# BLOCK OFFSET
{
	le64 $ram2 $(($1 * 4096 + $2))
}

# Field of the index's node in that block: 16 bits
node_field()	# BLOCK OFFSET
{
	echo $(($(word_of "$1" $(($2 & ~7))) >> ($2 & 7) * 8 & 0xffff))
}


index()
{
	local root

	prepare
	root=$(le64 $ram2 $tree_root_at)
	(($(node_field "$root" $level_at) >= 1)) || fail 'the index has no inner node'
	damaged_blocks "$root"
}
it 'a damaged inner node of the index is noticed' index

leaves()
{
	local root nr i children=()

	prepare
	root=$(le64 $ram2 $tree_root_at)
	nr=$(node_field "$root" $nr_entries_at)
	((nr >= 2)) || fail "the index's root has $nr children"
	for ((i = 0; i < nr; i++)); do
		children+=("$(word_of "$root" $((inner_entries_at + i * inner_entry_size + child_at)))")
	done
	same 'level of the first child' "$(node_field "${children[0]}" $level_at)" 0
	damaged_blocks "${children[@]}"
}
it 'a damaged leaf of the index is noticed' leaves

volumes() { metadata_block $volumes_root_at; }
it 'a damaged block of the volumes is noticed' volumes
branches() { metadata_block $branches_root_at; }
it 'a damaged block of the branches is noticed' branches
marks() { metadata_block $marks_root_at; }
it 'a damaged block of the marks is noticed' marks
space() { metadata_block $space_root_at; }
it 'a damaged root of the space bitmap is noticed' space

# The root is a node of the library's B-tree (struct btree_node): max_entries at 20, and
# behind the header of 32 bytes so many keys, then the values: the array's blocks.
space_words()
{
	local root max

	prepare
	root=$(le64 $ram2 $space_root_at)
	max=$(($(word_of "$root" 16) >> 32))
	((max > 100 && max < 500)) || fail "a node has $max entries"
	damaged_blocks "$(word_of "$root" $((32 + 8 * max)))"
}
it 'a damaged block of words of the space bitmap is noticed' space_words

space_map() { metadata_block $bitmap_index_at; }
it 'a damaged index of the metadata space map is noticed' space_map

# The index (struct disk_metadata_index): behind 16 bytes of header an entry for each bitmap,
# first its block.
space_map_bitmap()
{
	local index

	prepare
	index=$(le64 $ram2 $bitmap_index_at)
	damaged_blocks "$(word_of "$index" 16)"
}
it 'a damaged bitmap of the metadata space map is noticed' space_map_bitmap

# Of counts above 2, which there are none of: the module never looks.
space_map_counts()
{
	unread=1 metadata_block $ref_counts_at
}
it 'a damaged block of the metadata reference counts is told by check, and does no harm' space_map_counts

copy_block()	# FROM TO
{
	dd if=$ram2 of=block bs=4k skip="$1" count=1 iflag=direct status=none
	dd if=block of=$ram2 bs=4k seek="$2" count=1 oflag=direct conv=notrunc status=none
}

exchanged()
{
	prepare
	copy_block "$(le64 $ram2 $tree_root_at)" "$(le64 $ram2 $marks_root_at)"
	check_tells
	(something_refuses)
	ask remove_all
	# A node of the right kind in the wrong place.
	crashed_copy
	copy_block "$(le64 $ram2 $marks_root_at)" "$(le64 $ram2 $volumes_root_at)"
	check_tells
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
		check_tells
		matches 'cdp-tool check' "$checked" 'damage: journal: '
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
	check_says 0
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
	check_tells
	matches 'cdp-tool check' "$checked" feature
	stack $ram2 $ram3
	refused_saying 'feature' open_stack
	ask remove_all
	# A right checksum alone changes nothing.
	crashed_copy
	seal $ram2
	stack $ram2 $ram3
	check_says 0
	open_stack
}
it 'an unknown incompatible feature is refused' feature

run_tests
