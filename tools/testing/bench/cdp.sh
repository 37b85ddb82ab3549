#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make bench-cdp: dm-cdp beside dm-linear, dm-thin and dm-snapshot, in one boot
# of the test VM, whose clock counts instructions: ratios do not depend on how
# busy this machine is. QUICK=1 is a shorter run. Any of these may be given:
#
#   DEVICES   brd null_blk
#   TARGETS   raw linear cdp thin thin-fresh thin-snap snapshot
#   JOBS      see cdp-guest.sh
#   REPEAT    runs, of which the median counts
#   RUNTIME, RAMP   of a job, ms of the guest's time
#   VOLUME_MIB
#   ALSO      history crash sustained
#   SUSTAIN   seconds (guest) of random writes at queue depth 1
#   HISTORY   numbers of versions, ascending
#   KERNEL, KO, MEMORY (MiB), TIMEOUT (s), VM_ARGS (for vm/run)
#
# Results: out/bench/dm-cdp.csv, dm-cdp-latency.csv, dm-cdp-also.csv, dm-cdp.svg

set -Eeuo pipefail

here=$(dirname "$(readlink -f "$0")")
root=${here%/tools/testing/bench}
out=$root/out/bench

all_jobs="randwrite-qd1 randwrite-qd16 fsync-j1 fsync-j4 seqwrite-1m mix70-qd16 randread-qd1 randread-qd16"
if [[ ${QUICK:-} ]]; then
	: "${DEVICES=null_blk}" "${TARGETS=linear cdp thin}" "${REPEAT=1}" "${SUSTAIN=3}" "${HISTORY=5000 25000}"
else
	: "${DEVICES=null_blk brd}" "${TARGETS=raw linear cdp thin thin-fresh thin-snap snapshot}"
	: "${REPEAT=3}" "${SUSTAIN=300}" "${HISTORY=10000 1000000}"
fi
: "${JOBS=$all_jobs}" "${ALSO=history crash sustained}" "${RUNTIME=300}" "${RAMP=100}" "${VOLUME_MIB=256}"
: "${KERNEL:=6.1}" "${MEMORY:=8192}" "${TIMEOUT:=7200}" "${VM_ARGS:=}"
: "${KO:=$root/out/$KERNEL/dm-cdp/dm-cdp.ko}"
dm_time=$out/dm-time

# dm-cdp's ratio to dm-linear: device, job, floor, goal
goals()
{
	cat <<-END
		null_blk	randwrite-qd16	0.60	0.85
		null_blk	randwrite-qd1	0.85	0.95
		brd	randwrite-qd1	0.50	0.75
		null_blk	fsync-j1	0.50	0.85
		null_blk	fsync-j4	0.50	0.90
		null_blk	seqwrite-1m	0.90	0.97
		null_blk	randread-qd1	0.85	0.95
		null_blk	randread-qd16	0.60	0.85
	END
}

# A kernel that zeroes each page it gives out makes the memory behind the devices
# slower where it is first written than any disk; slab_nomerge names the caches.
measure()
{
	local vm_args

	read -ra vm_args <<< "$VM_ARGS"
	mkdir -p "$out/vm"
	"${CC:-cc}" -O2 -Wall -o "$dm_time" "$here/dm-time.c" -ldevmapper
	rm -f "$out"/vm/{raw,also}
	"$root/tools/testing/vm/run" --icount --kernel "$KERNEL" --memory "$MEMORY" --timeout "$TIMEOUT" \
		--append "init_on_alloc=0 slab_nomerge" \
		--share "$out/vm" --log "$out/vm.log" "${vm_args[@]}" -- \
		env DEVICES="$DEVICES" TARGETS="$TARGETS" JOBS="$JOBS" REPEAT="$REPEAT" RUNTIME="$RUNTIME" \
		RAMP="$RAMP" VOLUME_MIB="$VOLUME_MIB" SUSTAIN="$SUSTAIN" HISTORY="$HISTORY" ALSO="$ALSO" KO="$KO" DM_TIME="$dm_time" \
		"$here/cdp-guest.sh"
}

# medians <key fields>: one line for each key, with the median of every other field
medians()
{
	awk -v keys="$1" '
		function median(key, f,		n, i, j, v, t) {
			n = runs[key]
			for (i = 1; i <= n; i++)
				v[i] = value[key, i, f]
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
					t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
				}
			return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
		}
		{
			key = $1
			for (f = 2; f <= keys; f++)
				key = key "," $f
			if (!runs[key]++)
				order[++nr] = key
			fields = NF
			for (f = keys + 1; f <= NF; f++)
				value[key, runs[key], f] = $f + 0
		}
		END {
			for (k = 1; k <= nr; k++) {
				line = order[k]
				for (f = keys + 1; f <= fields; f++)
					line = line sprintf(",%.2f", median(order[k], f))
				print line
			}
		}'
}

write_csv()
{
	sed -n 's/^iops //p' "$out/vm/raw" | medians 3 | awk -F, -v OFS=, '
		BEGIN { print "device,target,job,iops,ratio_to_linear" }
		{ line[NR] = $1 OFS $2 OFS $3 OFS sprintf("%.0f", $4); iops[NR] = $4; at[NR] = $1 FS $3 }
		$2 == "linear" { linear[$1 FS $3] = $4 }
		END {
			for (i = 1; i <= NR; i++) {
				base = linear[at[i]]
				print line[i], base ? sprintf("%.3f", iops[i] / base) : ""
			}
		}' > "$out/dm-cdp.csv"
	{
		echo "device,target,job,op,p50_us,p99_us,p99.9_us,max_us"
		sed -n 's/^lat //p' "$out/vm/raw" | medians 4 | awk -F, -v OFS=, '
			{ for (f = 5; f <= NF; f++) $f = sprintf("%.1f", $f / 1000); print }'
	} > "$out/dm-cdp-latency.csv"
}

write_also_csv()
{
	awk -F'\t' -v OFS=, '
		function quoted(field)
		{
			if (field !~ /[",]/)
				return field
			gsub(/"/, "\"\"", field)
			return "\"" field "\""
		}
		BEGIN { print "what,value,unit,goal,verdict" }
		{ print quoted($1), quoted($2), quoted($3), quoted($4), quoted($5) }' "$out/vm/also" > "$out/dm-cdp-also.csv"
}

# A row for each job, a column for each target.
print_table()
{
	awk -F, -v targets="$TARGETS" '
		NR == 1 { next }
		!seen[$1, $3]++ { row[++rows] = $1 FS $3 }
		{ cell[$1 FS $3, $2] = $4 " (" $5 ")" }
		END {
			n = split(targets, target, " ")
			printf "%-9s %-15s", "device", "job"
			for (t = 1; t <= n; t++)
				printf " %16s", target[t]
			print ""
			for (r = 1; r <= rows; r++) {
				split(row[r], name, FS)
				printf "%-9s %-15s", name[1], name[2]
				for (t = 1; t <= n; t++)
					printf " %16s", (row[r], target[t]) in cell ? cell[row[r], target[t]] : "-"
				print ""
			}
		}' "$out/dm-cdp.csv"
}

print_goals()
{
	goals | awk -F'\t' '
		NR == FNR { split($0, f, ","); if (f[2] == "cdp") ratio[f[1], f[3]] = f[5]; next }
		!(($1, $2) in ratio) { next }
		{
			r = ratio[$1, $2]
			verdict = r >= $4 ? "goal met" : r >= $3 ? "floor met" : "below floor"
			printf "%-9s %-15s %6s  floor %s  goal %s  %s\n", $1, $2, r, $3, $4, verdict
		}' "$out/dm-cdp.csv" -
}

# With 16 requests in flight the CPU is never idle, and the clock counts its
# instructions.
print_instructions()
{
	awk -F, '
		$3 ~ /^rand(read|write)-qd16$/ && ($2 == "linear" || $2 == "cdp") { ns[$1, $3, $2] = 1e9 / $4 }
		$3 ~ /^rand(read|write)-qd16$/ && $2 == "cdp" { at[++n] = $1 SUBSEP $3; name[n] = $1 " " $3 }
		END {
			for (i = 1; i <= n; i++)
				if ((at[i], "linear") in ns)
					printf "instructions per I/O added to dm-linear, %s: %.0f (of %.0f)\n", name[i],
						ns[at[i], "cdp"] - ns[at[i], "linear"], ns[at[i], "cdp"]
		}' "$out/dm-cdp.csv"
}

# The ratios as a matrix for gnuplot, one device after the other.
plot_data()
{
	awk -F, -v targets="$TARGETS" -v device="$1" '
		$1 != device || $5 == "" { next }
		!seen[$3]++ { job[++jobs] = $3 }
		{ ratio[$3, $2] = $5 }
		END {
			n = split(targets, target, " ")
			for (j = 1; j <= jobs; j++) {
				printf "%s", job[j]
				for (t = 1; t <= n; t++)
					if (target[t] != "linear")
						printf " %s", (job[j], target[t]) in ratio ? ratio[job[j], target[t]] : "NaN"
				print ""
			}
		}' "$out/dm-cdp.csv"
}

plot()
{
	local device t columns=() work column rows=0 panels=()

	for t in $TARGETS; do
		[[ $t == linear ]] || columns+=("$t")
	done
	work=$(mktemp -d)
	for device in $DEVICES; do
		plot_data "$device" > "$work/$device"
		[[ -s $work/$device ]] || continue
		rows=$((rows + 1))
		column=''
		for t in "${!columns[@]}"; do
			column+="${column:+, }'$work/$device' using $((t + 2)):xtic(1) title '${columns[t]}'"
		done
		panels+=("set title '$device' noenhanced; plot 1 with lines lt -1 dt 2 title 'linear', $column")
	done
	((rows == 0)) || gnuplot <<-END
		set terminal svg size 1200,$((rows * 420)) font 'sans,12' background 'white'
		set output '$out/dm-cdp.svg'
		set style data histogram
		set style histogram cluster gap 1
		set style fill solid 0.8 border -1
		set yrange [0:*]
		set ylabel 'IOPS, ratio to dm-linear'
		set grid y
		set key outside right noenhanced
		set xtics noenhanced rotate by -20
		set multiplot layout $rows,1
		$(printf '%s\n' "${panels[@]}")
	END
	rm -rf "$work"
}

main()
{
	trap 'echo "bench: FAILED, the results are not complete (line $LINENO: ${BASH_COMMAND%% *})" >&2' ERR
	rm -f "$out"/dm-cdp{,-latency,-also}.csv "$out/dm-cdp.svg"
	measure
	write_csv
	write_also_csv
	plot
	printf '\nIOPS (ratio to dm-linear), medians of %s\n\n' "$REPEAT"
	print_table
	printf '\ndm-cdp to dm-linear\n\n'
	print_goals
	printf '\nAlso measured\n\n'
	print_instructions
	awk -F'\t' '{ print $1 ": " $2 " " $3 ($4 == "" ? "" : "  goal " $4 "  " $5) }' "$out/vm/also"
	printf '\n%s s; results in out/bench\n' "$SECONDS"
}

main; exit
