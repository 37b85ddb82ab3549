#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of cdp.sh that runs in the test VM. It writes three files in $OUT
# and prints its progress:
#
#   raw         iops <device> <target> <job> <iops>
#               lat <device> <target> <job> <op> <p50> <p99> <p99.9> <max>   (ns)
#   also        <tab-separated name, value, unit, and maybe goal, verdict>
#   conditions  what the numbers hold for, lines for a reader
#
# Each repetition of a target starts on new, empty devices. With BOUNDED=1 each
# job does, and it ends when it has written so much or when its time is over: on
# real CPUs the memory behind the devices would not last.

set -Eeuo pipefail

: "${DEVICES:?}" "${TARGETS:?}" "${JOBS:?}" "${REPEAT:?}" "${RUNTIME:?}" "${RAMP:?}" "${VOLUME_MIB:?}"
: "${SUSTAIN:?}" "${HISTORY:?}" "${ALSO?}" "${KO:?}" "${DM_TIME:?}" "${OUT:?}" "${BOUNDED?}" "${CLOCK:?}" "${DEVICE_MIB:?}"

sectors=$((VOLUME_MIB * 2048))
latency_ns=50000		# null_blk's time to complete a request
device_mib=$DEVICE_MIB		# a device's size; memory is taken as it is written
raw=$OUT/raw also=$OUT/also conditions=$OUT/conditions

. "$(dirname "$0")/cdp-also.sh"

# How much larger than others a target's volume is: so large that few writes fall
# in a chunk of 64 KiB that an earlier one took.
declare -A scale=([thin-fresh]=32 [thin-snap]=8)

declare -A job_args=(
	[randwrite-qd1]="--rw=randwrite --bs=4k --iodepth=1"
	[randwrite-qd16]="--rw=randwrite --bs=4k --iodepth=16"
	[fsync-j1]="--rw=randwrite --bs=4k --iodepth=1 --fsync=1"
	[fsync-j4]="--rw=randwrite --bs=4k --iodepth=1 --fsync=1 --numjobs=4"
	[seqwrite-1m]="--rw=write --bs=1m --iodepth=4"
	[mix70-qd16]="--rw=randrw --rwmixread=70 --bs=4k --iodepth=16"
	[randread-qd1]="--rw=randread --bs=4k --iodepth=1"
	[randread-qd16]="--rw=randread --bs=4k --iodepth=16"
)

# Devices: two alike, $data and $spare (metadata, or what a snapshot saves).

null_blk_add()
{
	local dir=/sys/kernel/config/nullb/$1 set

	shift
	mkdir "$dir"
	for set in irqmode=2 "completion_nsec=$latency_ns" "$@" power=1; do
		echo "${set#*=}" > "$dir/${set%%=*}"
	done
}

null_blk_remove()
{
	local dir

	for dir in /sys/kernel/config/nullb/*/; do
		[[ ! -d $dir ]] || rmdir "$dir"
	done
}

null_blk_cached()
{
	local queue=/sys/block/$1/queue

	null_blk_add "$1" memory_backed=1 "size=$device_mib" "cache_size=$device_mib"
	[[ $(<"$queue/write_cache") == 'write back' && $(<"$queue/fua") == 1 ]] || {
		echo "bench: $1 has no volatile cache with FUA" >&2
		return 1
	}
}

# touch_pages <device> <MiB>: have the memory that is behind them.
#
# The first write to a page costs what it does not on a disk: brd zeroes it, and
# null_blk puts it in its cache, which it copies with interrupts off when it is
# flushed (what was flushed once is written in place). A target that writes to new
# places would pay for that, one that overwrites would not. So devices stay, with
# their pages, and are new when their heads are.
touch_pages()
{
	disk=$1
	run_fio --rw=write:3584 --bs=512 --iodepth=16 --size="${2}m" --io_size="$(($2 * 128))k"
	sync "$1"
}

devices_load()
{
	if [[ " $DEVICES " == *" brd "* ]]; then
		modprobe brd rd_nr=2 rd_size=$((device_mib * 1024))
		touch_pages /dev/ram0 $((VOLUME_MIB * 6))
		touch_pages /dev/ram1 $((VOLUME_MIB * 2))
	fi
	if [[ " $DEVICES " == *" null_blk "* ]]; then
		null_blk_cached nullb0
		null_blk_cached nullb1
		touch_pages /dev/nullb0 $((VOLUME_MIB * 6))
		touch_pages /dev/nullb1 $((VOLUME_MIB * 2))
	fi
}

devices_unload()
{
	null_blk_remove
	[[ ! -e /dev/ram0 ]] || modprobe -r brd
}

device_new()
{
	dd if=/dev/zero of="$1" bs=1M count=1 oflag=direct status=none
}

device_up()
{
	case $1 in
	brd) data=/dev/ram0 spare=/dev/ram1 ;;
	null_blk) data=/dev/nullb0 spare=/dev/nullb1 ;;
	esac
	device_new "$data"
	device_new "$spare"
}

# Targets: <target>_up makes $disk; _before and _after enclose a job.

map()
{
	dmsetup create "bench-$1" --table "$2"
	dmsetup mknodes "bench-$1"
}

unmap()
{
	dmsetup remove --retry "bench-$1"
}

size_of()
{
	blockdev --getsz "$1"
}

linear_up()
{
	map linear "0 $sectors linear $data 0"
	disk=/dev/mapper/bench-linear
}

linear_down()
{
	unmap linear
}

thin_pool_up()
{
	map pool "0 $(size_of "$data") thin-pool $spare $data 128 0 1 skip_block_zeroing"
}

# thin_volume_up <sectors>
thin_volume_up()
{
	dmsetup message bench-pool 0 "create_thin 0"
	map thin "0 $1 thin /dev/mapper/bench-pool 0"
	disk=/dev/mapper/bench-thin
}

thin_volume_down()
{
	unmap thin
	dmsetup message bench-pool 0 "delete 0"
}

thin_up()
{
	thin_pool_up
	thin_volume_up "$sectors"
}

thin_down()
{
	unmap thin
	unmap pool
}

# Every write allocates: a new volume for each job.
thin_fresh_up()
{
	thin_pool_up
	disk=none
}

thin_fresh_before()
{
	thin_volume_up $((sectors * scale[thin-fresh]))
}

thin_fresh_after()
{
	thin_volume_down
}

thin_fresh_down()
{
	unmap pool
}

thin_snap_up()
{
	thin_pool_up
	thin_volume_up $((sectors * scale[thin-snap]))
}

# A block of each chunk allocates all of it.
thin_snap_fill()
{
	local mib=$((VOLUME_MIB * scale[thin-snap]))

	run_fio --rw=write:60k --bs=4k --iodepth=16 --size="${mib}m" --io_size="$((mib * 64))k"
}

thin_snap_before()
{
	touch /run/snapshots
	(
		for ((i = 1; ; i++)); do
			dmsetup suspend bench-thin
			dmsetup message bench-pool 0 "create_snap $i 0"
			dmsetup resume bench-thin
			echo "$i" > /run/snapshots.last
			sleep 1
			[[ -e /run/snapshots ]] || break
		done
	) &
	snapper=$!
}

thin_snap_after()
{
	local i

	rm /run/snapshots
	wait "$snapper"
	for ((i = 1; i <= $(</run/snapshots.last); i++)); do
		dmsetup message bench-pool 0 "delete $i"
	done
}

thin_snap_down()
{
	thin_down
}

snapshot_up()
{
	map origin "0 $sectors snapshot-origin $data"
	disk=/dev/mapper/bench-origin
}

snapshot_before()
{
	dd if=/dev/zero of="$spare" bs=4k count=1 oflag=direct status=none
	dmsetup suspend bench-origin
	map snap "0 $sectors snapshot $data $spare P 8"
	dmsetup resume bench-origin
}

snapshot_after()
{
	unmap snap
}

snapshot_down()
{
	unmap origin
}

# cdp_pool_up <metadata> <data> [<options>]
cdp_pool_up()
{
	map pool "0 $(size_of "$2") cdp-pool $1 $2 8 ${3:-}"
}

cdp_volume_up()
{
	dmsetup message bench-pool 0 "create_volume bench $sectors" > /dev/null
	map cdp "0 $sectors cdp /dev/mapper/bench-pool bench"
	disk=/dev/mapper/bench-cdp
}

# Checkpoints come as often as they do by default on a volume four times as
# large, so that a short job has its share of them.
cdp_up()
{
	cdp_pool_up "$spare" "$data" "2 checkpoint_extents $((sectors / 16))"
	cdp_volume_up
}

cdp_checkpoint()
{
	dmsetup message bench-pool 0 checkpoint
}

# Before reads: every block once more, in random order, and none of it in the tail.
cdp_age()
{
	run_fio --rw=randwrite --bs=4k --iodepth=16 --size="${VOLUME_MIB}m" --randseed=7
	cdp_checkpoint
}

cdp_down()
{
	unmap cdp
	unmap pool
}

raw_up()
{
	disk=$data
}

raw_down()
{
	:
}

# hook <target> <step>: if the target has it
hook()
{
	local f=${1//-/_}_$2

	! declare -F "$f" > /dev/null || "$f"
}

# It has to end well, without an error in any of its jobs, and to have done
# something in the time that counts.
run_fio()
{
	if ! fio --name=bench --filename="$disk" --direct=1 --ioengine=libaio --thread --group_reporting "$@" \
		--percentile_list=50:99:99.9 --output-format=json --output=/run/fio.json > /run/fio.log 2>&1 ||
		! jq -e 'all(.jobs[]; .error == 0 and .read.total_ios + .write.total_ios > 0)' /run/fio.json > /run/fio.ok
	then
		echo "bench: fio failed on $disk: $*" >&2
		# fio's messages stand in front of what should be JSON only.
		sed '/^{/,$d' /run/fio.json | sort -u - /run/fio.log | head -n 20 >&2
		sed -n '/^{/,$p' /run/fio.json |
			jq -c '.jobs[] | {error, reads: .read.total_ios, writes: .write.total_ios}' >&2
		return 1
	fi
}

fill()
{
	run_fio --rw=write --bs=1m --iodepth=4 --size="${VOLUME_MIB}m"
}

# latencies <prefix of the line>: each operation of the last run
latencies()
{
	jq -r --arg line "$1" '.jobs[0] |
		[["read", .read.clat_ns], ["write", .write.clat_ns], ["fsync", .sync.lat_ns]][] |
		select(.[1].N > 0) | .[1].percentile as $p |
		[$line, .[0], $p["50.000000"], $p["99.000000"], $p["99.900000"], .[1].max] |
		map(tostring) | join(" ")' /run/fio.json
}

iops()
{
	jq '.jobs[0] | .read.iops + .write.iops' /run/fio.json
}

# MiB that a job of $BOUNDED writes. A snapshot's chunk is copied for a block.
bound()
{
	case $1 in
	thin-snap) echo $((VOLUME_MIB / 4)) ;;
	thin-fresh) echo "$VOLUME_MIB" ;;
	*) echo $((VOLUME_MIB * 4)) ;;
	esac
}

# how_long <target> <job> <ms>: fio's options for it
how_long()
{
	local jobs

	if [[ ! $BOUNDED || $2 == randread-* ]]; then
		echo "--time_based --runtime=${3}ms --ramp_time=${RAMP}ms"
	else
		jobs=$(sed -n 's/.*--numjobs=//p' <<< "${job_args[$2]}")
		echo "--runtime=${3}ms --io_size=$(($(bound "$1") / ${jobs:-1}))m"
	fi
}

# run_job <device> <target> <job> <repetition>
run_job()
{
	local runtime=$RUNTIME size=$VOLUME_MIB args long result

	case $2:$3 in
	thin-fresh:*read*) return ;;
	*:randwrite-qd16) runtime=$((7 * RUNTIME)) ;;			# dm-cdp: with checkpoints
	thin-snap:*) runtime=$((RUNTIME < 1000 ? 1000 : RUNTIME)) ;;	# a snapshot's whole second
	esac
	size=$((size * ${scale[$2]:-1}))

	read -ra args <<< "${job_args[$3]}"
	sync "$data" "$spare"		# no job pays for what the last one left in the caches
	read -ra long < <(how_long "$2" "$3" "$runtime")
	hook "$2" before
	describe "$2"
	run_fio "${args[@]}" "${long[@]}" --size="${size}m" --randseed=$((1000 + $4))
	hook "$2" after
	result=$(iops)
	echo "iops $1 $2 $3 $result" >> "$raw"
	latencies "lat $1 $2 $3" >> "$raw"
	echo "$1 $2 $3: $result"
}

declare -A described

# describe <target>: its tables, once
describe()
{
	local names tables

	[[ ! ${described[$1]:-} ]] || return 0
	described[$1]=1
	names=$(lsblk -nro MAJ:MIN,NAME | sed 's|^\([0-9:]*\) \(.*\)|s#\\b\1\\b#\2#|')
	tables=$(dmsetup table | sed -e "$names" -e 's/bench-//g' | sort)
	[[ $1 != raw ]] || tables="the device itself"
	sed "1s/^/$(printf '%-11s' "$1")/; 2,\$s/^/$(printf '%-11s' '')/" <<< "$tables" >> "$conditions"
}

describe_machine()
{
	local accel=TCG

	if dmesg | grep 'Hypervisor detected: KVM' > /dev/null; then
		accel=KVM
	fi
	cat > "$conditions" <<-END
		machine    $accel, $CLOCK; CPUs: $(nproc); $(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MiB
		kernel     $(uname -r), $(grep -oE '(mitigations|init_on_alloc)=[^ ]*|slab_nomerge' /proc/cmdline | xargs)
		jobs       $(fio --version), libaio, direct; $RUNTIME ms after $RAMP ms of warming up, randwrite-qd16 $((7 * RUNTIME)) ms,
		           thin-snap at least 1000 ms; runs: $REPEAT
		null_blk   completion after $((latency_ns / 1000)) us, volatile write cache with FUA; brd: no latency, no cache; both of
		           $device_mib MiB, of which the first $((VOLUME_MIB * 6)) (metadata: $((VOLUME_MIB * 2))) have their memory from the start
		volume     $VOLUME_MIB MiB, written once before; thin-fresh ${scale[thin-fresh]} times as large and new for each job, thin-snap
		           ${scale[thin-snap]} times as large, all chunks allocated; before reads dm-cdp's is written again at random
		cdp        a checkpoint every $((sectors / 16)) versions: as often as by default (131072) on a volume of $((VOLUME_MIB * 4)) MiB
	END
	[[ ! $BOUNDED ]] || cat >> "$conditions" <<-END
		bounds     each job on devices of its own; one that writes ends before its time when it has written $(bound linear) MiB
		           (thin-fresh $(bound thin-fresh), thin-snap $(bound thin-snap))
	END
}

# target_up <device> <target>: new, and written once
target_up()
{
	device_up "$1"
	hook "$2" up
	case $2 in
	raw | linear | snapshot | thin-fresh) ;;
	thin-snap) thin_snap_fill ;;
	*) fill ;;
	esac
}

# run_target <device> <target> <repetition>
run_target()
{
	local job aged='' up=''

	for job in $JOBS; do
		if [[ ! $up ]]; then
			target_up "$1" "$2"
			up=1
		fi
		if [[ $job == *read* && ! $aged ]]; then
			hook "$2" age
			aged=1
		fi
		run_job "$1" "$2" "$job" "$3"
		if [[ $BOUNDED ]]; then
			hook "$2" down
			up='' aged=''
		fi
	done
	[[ ! $up ]] || hook "$2" down
}

setup()
{
	mkdir -p "$OUT"
	: > "$raw"
	: > "$also"
	describe_machine
	for module in null_blk:nr_devices=0 dm-mod dm-thin-pool dm-snapshot dm-zero; do
		modprobe "${module%%:*}" $(sed -n 's/^[^:]*://p' <<< "$module")
	done
	if [[ " $TARGETS " == *" cdp "* ]]; then
		modprobe -a $(modinfo -F depends "$KO" | tr , " ")
		insmod "$KO"
	fi
	devices_load
}

# Whatever a failure left up, the topmost first.
# shellcheck disable=SC2317
cleanup()
{
	local status=$? device

	trap - EXIT ERR
	set +e
	rm -f /run/snapshots
	wait
	if ((status)); then
		for device in snap cdp thin linear origin pool data; do
			! dmsetup info "bench-$device" > /dev/null 2>&1 || dmsetup remove --force --retry "bench-$device"
		done
		null_blk_remove
		[[ ! -d /sys/module/brd ]] || modprobe -r brd
		[[ ! -d /sys/module/dm_cdp ]] || rmmod dm_cdp
	fi
	exit "$status"
}

main()
{
	local repetition device target

	trap cleanup EXIT
	trap 'echo "bench: failed, ${FUNCNAME[*]:-} line $LINENO: $BASH_COMMAND" >&2' ERR
	setup
	for ((repetition = 1; repetition <= REPEAT; repetition++)); do
		# Devices keep the memory of all that was written: three times over is more than there is.
		if ((repetition > 1)); then
			devices_unload
			devices_load
		fi
		for device in $DEVICES; do
			for target in $TARGETS; do
				run_target "$device" "$target" "$repetition"
			done
		done
	done
	devices_unload
	if [[ " $TARGETS " == *" cdp "* ]]; then
		also_measured
		rmmod dm_cdp		# nothing has it in use
	fi
}

main; exit
