#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The targets as device-mapper sees them: constructors, tables, status, life and
# death of the devices.

. "$(dirname "$0")/lib.sh"

size=16384	# sectors of a volume

bad_pool()	# REGEX SECTORS WORDS
{
	local regex=$1 sectors=$2

	shift 2
	refused_saying "$regex" create pool "$sectors" cdp-pool "$@"
	if exists pool; then fail "a refused pool left a device"; fi
}

pool_words()
{
	local len

	len=$(sectors_of $ram1)
	bad_pool 'needs <metadata dev>' "$len" $ram0
	bad_pool 'needs <metadata dev>' "$len" $ram0 $ram1
	bad_pool 'metadata device cannot be opened' "$len" /dev/no-such-device $ram1 8
	bad_pool 'data device cannot be opened' "$len" $ram0 /dev/no-such-device 8
	bad_pool 'block size' "$len" $ram0 $ram1 7
	bad_pool 'block size' "$len" $ram0 $ram1 4
	bad_pool 'block size' "$len" $ram0 $ram1 24
	bad_pool 'block size' "$len" $ram0 $ram1 256
	bad_pool 'block size' "$len" $ram0 $ram1 eight
	bad_pool 'option|argument' "$len" $ram0 $ram1 8 1
	bad_pool 'option|argument' "$len" $ram0 $ram1 8 2 colour 3
	bad_pool 'option|argument' "$len" $ram0 $ram1 8 2 journal_blocks 64 more
	bad_pool 'option|argument' "$len" $ram0 $ram1 8 x
	bad_pool 'option.*range' "$len" $ram0 $ram1 8 2 journal_blocks 15
	bad_pool 'option.*range' "$len" $ram0 $ram1 8 2 journal_blocks 1048577
	bad_pool 'option.*range' "$len" $ram0 $ram1 8 2 checkpoint_extents 15
	bad_pool 'option.*not a number' "$len" $ram0 $ram1 8 2 checkpoint_ms none
	bad_pool 'a device each' "$len" $ram0 $ram0 8
	# Nothing of this may have written to the devices.
	zeroes $ram0
	zeroes $ram1
}
it 'a pool refuses wrong arguments and says why' pool_words

too_small()
{
	create tiny 256 linear $ram0 0
	refused_saying 'metadata.*(small|256)' pool_open "$(node tiny)" $ram1
	refused_saying 'data.*small|small.*data' pool_open $ram2 "$(node tiny)"
}
it 'a pool refuses devices that are too small' too_small

volume_words()
{
	pool_open
	ask message pool create_volume one $size
	refused_saying 'needs <pool dev> <volume>' create v $size cdp "$(node pool)"
	refused_saying 'needs <pool dev> <volume>' create v $size cdp "$(node pool)" one two
	refused_saying 'not a cdp pool' create v $size cdp $ram2 one
	refused_saying 'volume' create v $size cdp "$(node pool)" two
	refused_saying 'larger than the volume' create v $((size + 8)) cdp "$(node pool)" one
	if exists v; then fail "a refused volume left a device"; fi
}
it 'a volume refuses wrong arguments and says why' volume_words

view_words()
{
	local before after

	before=$(($(date +%s) * 1000000 - 3600000000))
	pool_open
	ask message pool create_volume one $size
	after=$(($(now) + 3600000000))
	refused_saying 'needs <pool dev> <volume> <instant>' create_ro v $size cdp-view "$(node pool)" one
	refused_saying 'volume' view_open v two $size "$(now)"
	refused_saying 'instant|mark' view_open v one $size @nothing
	refused_saying 'instant|exist|creat' view_open v one $size "$before"
	refused_saying 'instant|future|exist' view_open v one $size "$after"
	refused_saying 'instant' view_open v one $size yesterday
	refused_saying 'instant' view_open v one $size -1
	refused_saying 'read-only' create v $size cdp-view "$(node pool)" one "$(now)"
	refused_saying 'larger than the volume' view_open v one $((size + 8)) "$(now)"
}
it 'a view refuses wrong arguments and says why' view_words

foreign_format()
{
	put $ram0 1 64
	refused_saying 'metadata|superblock' pool_open
	holds $ram0 1 64
	zeroes $ram1
	ask zero $ram0 64
	put $ram1 2 64
	refused_saying 'data|label' pool_open
	# The blank metadata device stays blank.
	zeroes $ram0
	holds $ram1 2 64
}
it 'devices that hold something else are never formatted' foreign_format

swapped()
{
	pool_open
	ask message pool create_volume one $size
	remove pool
	pool_open $ram2 $ram3
	ask message pool create_volume two $size
	remove pool
	refused_saying 'uuid|belong|pool|match' pool_open $ram0 $ram3
	refused_saying 'uuid|belong|pool|match' pool_open $ram2 $ram1
	refused_saying 'superblock|metadata' pool_open $ram1 $ram0
	# A blank partner is as wrong as a foreign one.
	ask zero $ram3 2048
	refused_saying 'label|data|blank' pool_open $ram2 $ram3
	refused_saying 'block size' pool_open $ram0 $ram1 16
	pool_open $ram0 $ram1
	matches 'the first pool' "$(message list_volumes)" ' one '
}
it 'swapped, blank and foreign partners are refused' swapped

in_use()
{
	pool_open
	pool=second refused pool_open $ram0 $ram1
	pool=second refused pool_open $ram0 $ram2
	pool=second refused pool_open $ram2 $ram1
	zeroes $ram2
}
it 'the devices of an open pool cannot be used by another' in_use

read_back()	# BLOCK-SECTORS
{
	local was dev

	ask zero $ram0 2048
	ask zero $ram1 2048
	pool_open $ram0 $ram1 "$1"
	volume_new v $size
	zeroes v 8192
	put v "$1" 4096 512
	dev=$(node v)
	# Parts of blocks, astride their borders.
	dd if="$dev" of=piece bs=512 count=37 skip=1030 iflag=direct status=none
	dd if=piece of="$dev" bs=512 seek=3 oflag=direct conv=notrunc status=none
	dd if=piece of="$dev" bs=512 seek=4090 oflag=direct conv=notrunc status=none
	cmp piece <(dd if="$dev" bs=512 skip=4090 count=37 iflag=direct status=none)
	holds v "$1" 1024 512
	was=$(sum v)
	remove v pool
	pool_open $ram0 $ram1 "$1"
	volume_open v $size
	same "content with blocks of $1 sectors" "$(sum v)" "$was"
	remove v pool
}
block_sizes()
{
	local b

	for b in 8 16 32 128; do read_back $b; done
}
it 'volumes keep what is written with blocks from 4 to 64 KiB' block_sizes

several()
{
	local i sums=()

	pool_open
	for i in 1 2 3 4 5; do
		volume_new "v$i" $size
		put "v$i" "$i" 1024
		sums[i]=$(sum "v$i")
	done
	put "v3" 33 1024
	for i in 1 2 4 5; do
		same "volume $i" "$(sum "v$i")" "${sums[i]}"
	done
	remove v1 v2 v3 v4 v5 pool
	pool_open
	for i in 5 4 2 1; do
		volume_open "v$i" $size
		same "volume $i" "$(sum "v$i")" "${sums[i]}"
	done
}
it 'several volumes of a pool do not touch one another' several

views_while_written()
{
	local i t=() s=()

	pool_open
	volume_new v $size
	for i in 1 2 3 4; do
		put v "$i" 4096
		t[i]=$(now)
		s[i]=$(sum v)
	done
	stomp v 100 16 2048
	for i in 1 2 3 4; do
		view_open "at$i" v $size "${t[i]}"
	done
	for i in 4 2 1 3 2 4; do
		same "the view of instant $i" "$(sum "at$i")" "${s[i]}"
	done
	calm
	stomped v 100 16 2048 "${counts[0]}"
	for i in 1 2 3 4; do
		same "the view of instant $i, later" "$(sum "at$i")" "${s[i]}"
	done
}
it 'several views stay as they are while the volume is written' views_while_written

view_read_only()
{
	pool_open
	volume_new v $size
	put "v" 1 1024
	view_open past v $size "$(now)"
	same 'the read-only flag' "$(blockdev --getro "$(node past)")" 1
	refused dd if=/dev/zero of="$(node past)" bs=4k count=1 oflag=direct
	blockdev --setrw "$(node past)" 2>/dev/null || true
	refused dd if=/dev/zero of="$(node past)" bs=4k count=1 oflag=direct
	refused blkdiscard "$(node past)"
	same 'the view' "$(sum "past")" "$(sum "v")"
}
it 'a view cannot be written' view_read_only

discards()
{
	local before was

	pool_open
	volume_new v $size
	put "v" 1 8192
	before=$(now)
	was=$(sum "v")
	blkdiscard -o 1048576 -l 2097152 "$(node v)"
	zeroes v 2048 1024
	holds v 1 1024
	blkdiscard -z -o 5242880 -l 65536 "$(node v)"
	zeroes v 64 5120
	ask message pool revert v "$before"
	same 'the content, the discard undone' "$(sum "v")" "$was"
	remove v pool
	pool_open
	volume_open v $size
	same 'the same after a reopen' "$(sum "v")" "$was"
}
it 'a discard reads as zeroes and can be undone' discards

status_lines()
{
	local t

	pool_open $ram0 $ram1 8 4 journal_blocks 64 checkpoint_ms 200
	volume_new v $size
	put "v" 1 1024
	ask message pool mark m v
	t=$(now)
	view_open past v $size "$t"
	matches 'INFO of the pool' "$(status pool)" \
		'^rw [0-9]+ [0-9]+/[0-9]+ [0-9]+/[0-9]+ [0-9]+/64 [0-9]+ 1 1 [0-9]+$'
	matches 'INFO of the volume' "$(status v)" "^[0-9]+ $size 1 [0-9]+\$"
	matches 'INFO of the view' "$(status past)" "^[0-9]+ $size $t\$"
	matches 'TABLE of the pool' "$(table pool)" \
		"^0 $(sectors_of $ram1) cdp-pool [0-9]+:[0-9]+ [0-9]+:[0-9]+ 8( |\$)"
	matches 'TABLE of the volume' "$(table v)" "^0 $size cdp [0-9]+:[0-9]+ v\$"
	matches 'TABLE of the view' "$(table past)" \
		"^0 $size cdp-view [0-9]+:[0-9]+ v (@m|[0-9]+)\$"
	# A table can be loaded as it is printed.
	reload_same rw v
	reload_same ro past
}
reload_same()
{
	local words

	read -ra words <<< "$(table "$2")"
	ask load "$1" "$2" "${words[@]:1}"
	suspend "$2"
	resume "$2"
}
it 'status lines say what the header promises' status_lines

status_counts()
{
	local before after

	pool_open
	volume_new v $size
	message checkpoint
	read -ra before <<< "$(status pool)"
	put v 1 4096
	message checkpoint
	read -ra after <<< "$(status pool)"
	same 'blocks in use' $((${after[2]%/*} - ${before[2]%/*})) 1024
	same 'extents in the tail' "${after[5]}" 0
	same 'journal blocks in use' "${after[4]%/*}" 0
	ask message pool revert v "$(now)"
	matches 'branches' "$(status v)" "^[0-9]+ $size 2 "
}
it 'status counts blocks, extents and branches' status_counts

suspend_under_load()
{
	local i

	pool_open
	volume_new v $size
	stomp v 1000 16 1024
	for i in 1 2 3 4 5 6 7 8; do
		suspend v
		resume v
		suspend pool
		resume pool
	done
	calm
	stomped v 1000 16 1024 "${counts[0]}"
}
it 'volume and pool can be suspended and resumed under load' suspend_under_load

table_reload()
{
	local was i

	pool_open
	volume_new v $size
	ask message pool create_volume other $size
	put "v" 1 4096
	stomp v 1 16 1024
	for i in 1 2 3; do
		reload pool "$(sectors_of $ram1)" cdp-pool $ram0 $ram1 8 2 checkpoint_ms $((i * 100))
		reload v $size cdp "$(node pool)" v
	done
	calm
	stomped v 1 16 1024 "${counts[0]}"
	was=$(sum "v")
	refused ask load rw v $size cdp "$(node pool)" nobody
	refused ask load rw pool "$(sectors_of $ram1)" cdp-pool $ram2 $ram3 8
	ask clear v
	same 'the volume' "$(sum "v")" "$was"
	reload v $size cdp "$(node pool)" other
	zeroes v 8192
}
it 'tables of pool and volume can be reloaded under load' table_reload

deferred_remove()
{
	pool_open
	volume_new v $size
	exec 7<> "$(node v)"
	ask defer v
	ask defer pool
	exists v
	exists pool
	put v 1 64
	exec 7>&-
	wait_until not exists v
	wait_until not exists pool
	pool_open
	volume_open v $size
	holds v 1 64
}
it 'a deferred remove waits for the last user' deferred_remove

dm_stats()
{
	local regions

	pool_open
	volume_new v $size
	ask message v @stats_create - /1
	put "v" 1 256
	sum "v" >/dev/null
	# <start>+<length> <reads completed> <merged> <sectors read> <ms> <writes> <merged> <sectors written> ...
	regions=$(tell message v @stats_print 0)
	read -r _ reads _ sectors_read _ writes _ sectors_written _ <<< "$regions"
	same 'sectors written' "$sectors_written" 512
	same 'sectors read' "$sectors_read" $size
	((reads > 0 && writes > 0))
}
it 'dm statistics count a volume'"'"'s I/O' dm_stats

busy()
{
	pool_open
	volume_new v $size
	view_open past v $size "$(now)"
	ask exists pool
	refused dmsetup remove ${prefix}pool
	refused rmmod dm_cdp
	refused message delete_volume v
	remove v
	refused message delete_volume v
	remove past
	message delete_volume v
	same 'volumes' "$(message list_volumes)" ''
	refused volume_open v $size
}
it 'what is in use is neither removed nor deleted nor unloaded' busy

unload()
{
	pool_open
	volume_new v $size
	put "v" 1 64
	remove v pool
	rmmod dm_cdp
	[[ ! -d /sys/module/dm_cdp ]]
	load_module
	pool_open
	volume_open v $size
	holds v 1 64
	remove v pool
}
it 'the module unloads, loads again, and finds everything' unload

limits()
{
	local q

	pool_open $ram0 $ram1 32
	volume_new v $size
	q=$(sysfs v)/queue
	same 'logical block size' "$(< "$q/logical_block_size")" 512
	same 'preferred size' "$(< "$q/minimum_io_size")" 16384
	same 'write cache' "$(< "$q/write_cache")" 'write back'
	(($(< "$q/discard_granularity") == 16384))
	(($(< "$q/discard_max_bytes") >= 1048576))
	# device-mapper offers write zeroes only where what is beneath has them; a ram disk has not.
	if (($(< /sys/block/${ram1#/dev/}/queue/write_zeroes_max_bytes))); then
		(($(< "$q/write_zeroes_max_bytes") >= 1048576))
	fi
}
it 'queue limits tell the block size, a cache and discards, and zeroes where they can be' limits

big_io()
{
	local dev

	pool_open
	volume_new v 65536
	dev=$(node v)
	put $ram2 5 32768
	dd if=$ram2 of="$dev" bs=32M count=1 iflag=fullblock oflag=direct conv=notrunc status=none
	holds v 5 256
	cmp -n 33554432 $ram2 "$dev"
	dd if="$dev" of=back bs=32M count=1 iflag=direct status=none
	cmp -n 33554432 back $ram2
}
it 'large requests go through whole' big_io

run_tests
