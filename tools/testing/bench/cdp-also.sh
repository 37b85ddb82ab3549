# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What cdp.sh measures beside the table, of dm-cdp alone. Sourced by
# cdp-guest.sh.
#
# A million versions are 4 GiB of data, which nobody reads here: only the first
# part of the data device, with the label and the journal, keeps what is
# written to it.

kept_mib=256
versions=0		# written to the pool so far

# report <what> <value> <unit> [<greatest value that meets the goal>]
report()
{
	local goal=() value=$2

	if [[ ${4:-} ]]; then
		goal=("<= $4" "$(awk -v v="$value" -v goal="$4" 'BEGIN { print v + 0 <= goal + 0 ? "met" : "missed" }')")
	fi
	printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$value" "$3" "${goal[@]}" >> "$also"
	echo "$1: $value $3${goal[0]:+  goal ${goal[0]}  ${goal[1]}}"
}

# also_up <what lies behind the kept part, a target without its range>
#         [<pool options> [<MiB of metadata to touch before>]]
also_up()
{
	local kept=$((kept_mib * 2048)) all=$((1 << 28))

	null_blk_cached nullb0
	null_blk_cached nullb1
	if [[ ${3:-} ]]; then
		touch_pages /dev/nullb0 $kept_mib
		touch_pages /dev/nullb1 "$3"
		device_new /dev/nullb0
		device_new /dev/nullb1
	fi
	map data "0 $kept linear /dev/nullb0 0
$kept $((all - kept)) $1"
	cdp_pool_up /dev/nullb1 /dev/mapper/bench-data "${2:-}"
	cdp_volume_up
	versions=0
}

also_down()
{
	cdp_down
	unmap data
	null_blk_remove
}

# 4 KiB random writes of zeroes, which is what dm-zero will have stored. Many at
# once: this is not measured.
write_versions()
{
	run_fio --rw=randwrite --bs=4k --iodepth=256 --iodepth_batch=64 --iodepth_batch_complete_min=64 --size="${VOLUME_MIB}m" --io_size="$(($1 * 4))k" \
		--norandommap --randseed=$((versions + 1)) --zero_buffers --end_fsync=1
	versions=$((versions + $1))
}

# pool_status <field> [used|total]: see the grammar in include/uapi
pool_status()
{
	dmsetup status bench-pool | awk -v field="$1" -v part="${2:-used}" '
		BEGIN {
			n = split("mode time data metadata journal tail volumes marks checkpoints", names, " ")
			for (i = 1; i <= n; i++)
				column[names[i]] = i + 3
		}
		{ split($(column[field]), value, "/"); print value[part == "used" ? 1 : 2] }'
}

# median and greatest of the numbers on stdin
median_max()
{
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[NR] }'
}

declare -A first	# what was measured with the shortest history
growth=1.25		# "does not grow", from the shortest history to the longest

# message_latency <name> <message> [<goal, us>]: # in it is a number
message_latency()
{
	local times median max

	times=$("$DM_TIME" message bench-pool 15 "$2")
	read -r median max < <(median_max <<< "$times")
	report "$1, $versions versions of history, median" "$median" us
	report "$1, $versions versions of history, longest" "$max" us "${3:-}"
	if [[ ! ${first[$1]:-} ]]; then
		first[$1]=$median
	elif [[ $1 != message* ]]; then
		report "$1, median with $versions versions to that with ${first[versions]}" \
			"$(awk -v a="$median" -v b="${first[$1]}" 'BEGIN { printf "%.2f", a / b }')" times $growth
	fi
}

# What has no name in these lists are the two bits for each data block: they are
# of one piece where there is one.
module_memory()
{
	awk '/^dm_cdp/ { sum += $3 * $4 } END { print int(sum / 1024) }' /proc/slabinfo
	awk '/\[dm_cdp\]/ { sum += $2 } END { print int(sum / 1024) }' /proc/vmallocinfo
	echo $(($(pool_status data total) / 4 / 1024))
	awk '{ print int($1 / 1024) }' /sys/module/dm_bufio/parameters/current_allocated_bytes
}

report_memory()
{
	local memory own

	mapfile -t memory < <(module_memory)
	((${#memory[@]} == 4))
	own=$((memory[0] + memory[1] + memory[2]))
	report "memory, $versions versions, slab caches" "${memory[0]}" KiB
	report "memory, $versions versions, vmalloc" "${memory[1]}" KiB
	report "memory, $versions versions, bits of $(pool_status data total) data blocks" "${memory[2]}" KiB
	report "memory, $versions versions, dm-bufio's cache" "${memory[3]}" KiB
	report "memory, $versions versions, sum" $((own + memory[3])) KiB 65536
	if [[ ! ${first[memory]:-} ]]; then
		first[memory]=$own
	else
		report "memory without cache, with $versions versions to that with ${first[versions]}" \
			"$(awk -v a="$own" -v b="${first[memory]}" 'BEGIN { printf "%.2f", a / b }')" times $growth
	fi
}

available_kib()
{
	echo 3 > /proc/sys/vm/drop_caches
	awk '/^MemAvailable/ { print $2 }' /proc/meminfo
}

also_history()
{
	local count before bytes instant

	also_up zero
	before=$(pool_status metadata)
	for count in $HISTORY; do
		write_versions $((count - versions))
		cdp_checkpoint
		bytes=$((($(pool_status metadata) - before) * 4096))
		report "metadata per version, $versions versions" \
			"$(awk -v b="$bytes" -v n="$versions" 'BEGIN { printf "%.1f", b / n }')" bytes 32
		report_memory
		message_latency "message that does nothing" time
		message_latency mark "mark m$versions.# bench"
		instant=$(dmsetup message bench-pool 0 time)
		message_latency revert "revert bench ${instant##* }" 10000
		: "${first[versions]:=$versions}"
	done
	cdp_checkpoint
	before=$(available_kib)
	cdp_down
	report "memory, $versions versions, that closing the pool gives back" $(($(available_kib) - before)) KiB
	unmap data
	null_blk_remove
}

# Write until a checkpoint is close, so that there is as much to replay as there
# can be. How much that is, the first checkpoint tells.
fill_journal()
{
	local total step peak=0 checkpoints tail

	total=$(pool_status journal total)
	step=$((total / 2))
	checkpoints=$(pool_status checkpoints)
	for ((i = 0; i < 300; i++)); do
		write_versions $step
		tail=$(pool_status tail)
		if [[ $(pool_status checkpoints) == "$checkpoints" ]]; then
			((tail > peak)) && peak=$tail
		elif ((tail >= peak)); then
			return
		fi
	done
}

also_crash()
{
	local tail journal us

	also_up zero "2 checkpoint_ms 600000"
	fill_journal
	tail=$(pool_status tail)
	journal="$(pool_status journal) of $(pool_status journal total)"

	# The power fails: what the devices hold now is all that is left.
	null_blk_cached nullb2
	null_blk_cached nullb3
	dd if=/dev/nullb0 of=/dev/nullb2 bs=1M count=$kept_mib iflag=direct oflag=direct status=none
	dd if=/dev/nullb1 of=/dev/nullb3 bs=1M count=$kept_mib iflag=direct oflag=direct status=none
	cdp_down
	dmsetup reload bench-data --table "$(dmsetup table bench-data | sed "1s#linear.*#linear /dev/nullb2 0#")"
	dmsetup suspend bench-data
	dmsetup resume bench-data

	us=$("$DM_TIME" create bench-pool "$(size_of /dev/mapper/bench-data)" cdp-pool "/dev/nullb3 /dev/mapper/bench-data 8")
	report "open after a crash, journal blocks $journal, extents in the tail $tail" \
		"$us" us
	unmap pool
	unmap data
	null_blk_remove
}

# sustained <queue depth> <seconds>
sustained()
{
	local what="sustained random write, qd $1, $2 s" p50='' p99 p999 max

	null_blk_add nullb2 memory_backed=0 "size=$((1 << 17))"
	also_up "linear /dev/nullb2 0" "" $((32 + $2 * 2))
	run_fio --rw=randwrite --bs=4k --iodepth="$1" --size="${VOLUME_MIB}m" --norandommap \
		--time_based --runtime="$2"
	read -r _ p50 p99 p999 max < <(latencies "")
	report "$what" "$(iops)" IOPS
	report "$what, checkpoints meanwhile" "$(pool_status checkpoints)" ''
	report "$what, latency p50" $((p50 / 1000)) us
	report "$what, latency p99" $((p99 / 1000)) us
	report "$what, latency p99.9" $((p999 / 1000)) us
	report "$what, latency max" $((max / 1000)) us
	report "$what, max to p50" "$(awk -v a="$max" -v b="$p50" 'BEGIN { printf "%.1f", a / b }')" times 100
	also_down
}

also_sustained()
{
	sustained 1 "$SUSTAIN"
	sustained 16 $((SUSTAIN < 10 ? SUSTAIN : 10))
}

also_measured()
{
	local part

	for part in $ALSO; do
		"also_$part"
	done
}
