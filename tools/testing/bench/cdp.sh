#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make bench-cdp: dm-cdp beside dm-linear, dm-thin and dm-snapshot, in one boot
# of the test VM, whose clock counts instructions: ratios do not depend on how
# busy this machine is. Where there is KVM, the same table is measured once more
# with it, in real time. QUICK=1 is a shorter run. Any of these may be given:
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
#   KVM_PASS  1: the second table where there is no KVM too, to try it out; 0: never
#   KVM_RUNTIME   of a job in it, ms
#   DEVICE_MIB, KERNEL, KO, MEMORY (MiB), TIMEOUT (s), VM_ARGS (for vm/run)
#
# Results: out/bench/dm-cdp.csv, dm-cdp-latency.csv, dm-cdp.svg, the same with
# dm-cdp-kvm; dm-cdp-also.csv; and all that is printed in dm-cdp.txt.
#
# Exit status: 1 if anything failed, or a ratio is below its floor (a second
# table that was not measured with KVM does not count). Goals do not count.

set -Eeuo pipefail

here=$(dirname "$(readlink -f "$0")")
root=${here%/tools/testing/bench}
out=$root/out/bench

all_jobs="randwrite-qd1 randwrite-qd16 fsync-j1 fsync-j4 seqwrite-1m mix70-qd16 randread-qd1 randread-qd16"
if [[ ${QUICK:-} ]]; then
	: "${DEVICES=null_blk}" "${TARGETS=linear cdp thin}" "${REPEAT=1}" "${SUSTAIN=3}" "${HISTORY=5000 25000}"
	: "${KVM_RUNTIME=1000}"
else
	: "${DEVICES=null_blk brd}" "${TARGETS=raw linear cdp thin thin-fresh thin-snap snapshot}"
	: "${REPEAT=3}" "${SUSTAIN=300}" "${HISTORY=10000 1000000}"
fi
: "${JOBS=$all_jobs}" "${ALSO=history crash sustained}" "${RUNTIME=200}" "${RAMP=50}" "${VOLUME_MIB=256}"
: "${KVM_PASS=}" "${KVM_RUNTIME=3000}" "${DEVICE_MIB:=16384}"
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

# KVM is used by vm/run under the same condition.
kvm_works()
{
	grep -qwE 'svm|vmx' /proc/cpuinfo && [[ -r /dev/kvm && -w /dev/kvm ]]
}

# elapsed: stdin, with the seconds since its first line
elapsed()
{
	local line start=''

	while IFS= read -r line; do
		: "${start:=$SECONDS}"
		printf '%5d s  %s\n' $((SECONDS - start)) "$line"
	done
}

# guest <name of the pass> <what its clock is> [<option of vm/run>...]: with the
# variables that cdp-guest.sh wants
#
# A kernel that zeroes each page it gives out makes the memory behind the devices
# slower where it is first written than any disk; slab_nomerge names the caches.
guest()
{
	local name=$1 clock=$2 vm_args variable variables=()

	shift 2
	read -ra vm_args <<< "$VM_ARGS"
	for variable in DEVICES TARGETS JOBS REPEAT RUNTIME RAMP VOLUME_MIB SUSTAIN HISTORY ALSO BOUNDED DEVICE_MIB KO; do
		variables+=("$variable=${!variable}")
	done
	mkdir -p "$out/$name"
	rm -f "$out/$name"/{raw,also,conditions}
	"$root/tools/testing/vm/run" "$@" --kernel "$KERNEL" --memory "$MEMORY" --timeout "$TIMEOUT" \
		--append "init_on_alloc=0 slab_nomerge" --share "$out/$name" --log "$out/$name.log" "${vm_args[@]}" -- \
		env "${variables[@]}" CLOCK="$clock" DM_TIME="$dm_time" "$here/cdp-guest.sh" | elapsed
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

# write_csv <name of the pass> <name of the result>
write_csv()
{
	sed -n 's/^iops //p' "$out/$1/raw" | medians 3 | awk -F, -v OFS=, '
		BEGIN { print "device,target,job,iops,ratio_to_linear" }
		{ line[NR] = $1 OFS $2 OFS $3 OFS sprintf("%.0f", $4); iops[NR] = $4; at[NR] = $1 FS $3 }
		$2 == "linear" { linear[$1 FS $3] = $4 }
		END {
			for (i = 1; i <= NR; i++) {
				base = linear[at[i]]
				print line[i], base ? sprintf("%.3f", iops[i] / base) : ""
			}
		}' > "$out/$2.csv"
	{
		echo "device,target,job,op,p50_us,p99_us,p99.9_us,max_us"
		sed -n 's/^lat //p' "$out/$1/raw" | medians 4 | awk -F, -v OFS=, '
			{ for (f = 5; f <= NF; f++) $f = sprintf("%.1f", $f / 1000); print }'
	} > "$out/$2-latency.csv"
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

# print_table <name of the result>: a row for each job, a column for each target
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
		}' "$out/$1.csv"
}

# print_goals <name of the result>
print_goals()
{
	goals | awk -F'\t' '
		NR == FNR { split($0, f, ","); if (f[2] == "cdp" && f[5] != "") ratio[f[1], f[3]] = f[5]; next }
		!(($1, $2) in ratio) { next }
		{
			r = ratio[$1, $2]
			verdict = r >= $4 ? "goal met" : r >= $3 ? "floor met" : "below floor"
			printf "%-9s %-15s %6s  floor %s  goal %s  %s\n", $1, $2, r, $3, $4, verdict
		}' "$out/$1.csv" -
}

# below_floor <name of the result>: lines of print_goals
below_floor()
{
	print_goals "$1" | sed -n '/below floor$/p'
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

# plot_data <name of the result> <device> <target>...: the ratios as a matrix for
# gnuplot
plot_data()
{
	awk -F, -v targets="${*:3}" -v device="$2" '
		$1 != device || $5 == "" { next }
		!seen[$3]++ { job[++jobs] = $3 }
		{ ratio[$3, $2] = $5 }
		END {
			n = split(targets, target, " ")
			for (j = 1; j <= jobs; j++) {
				printf "%s", job[j]
				for (t = 1; t <= n; t++)
					printf " %s", (job[j], target[t]) in ratio ? ratio[job[j], target[t]] : "NaN"
				print ""
			}
		}' "$out/$1.csv"
}

# plot <name of the result>
plot()
{
	local device t columns=() column rows=0 panels=()

	for t in $TARGETS; do
		[[ $t == linear ]] || ! grep -q ",$t," "$out/$1.csv" || columns+=("$t")
	done
	for device in $DEVICES; do
		plot_data "$1" "$device" "${columns[@]}" > "$work/$device"
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
		set output '$out/$1.svg'
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
}

# print_pass <name of the pass> <name of the result> <heading>
print_pass()
{
	printf '\nIOPS (ratio to dm-linear), medians of %s%s\n\n' "$REPEAT" "$3"
	print_table "$2"
	printf '\nMeasured under these conditions\n\n'
	cat "$out/$1/conditions"
	printf '\ndm-cdp to dm-linear%s\n\n' "$3"
	print_goals "$2"
}

print_also()
{
	printf '\nAlso measured\n\n'
	print_instructions
	awk -F'\t' '{ print $1 ": " $2 " " $3 ($4 == "" ? "" : "  goal " $4 "  " $5) }' "$out/vm/also"
}

instruction_pass()
{
	BOUNDED='' guest vm "its clock counts instructions, 1 ns each" --icount
	write_csv vm dm-cdp
	write_also_csv
	{
		print_pass vm dm-cdp ''
		print_also
	} | tee -a "$out/dm-cdp.txt"
	plot dm-cdp
}

# What a job wrote while it warmed up would count against its bound: there is no
# warming up.
kvm_pass()
{
	ALSO='' BOUNDED=1 RUNTIME=$KVM_RUNTIME RAMP=0 guest vm-kvm "real time"
	write_csv vm-kvm dm-cdp-kvm
	print_pass vm-kvm dm-cdp-kvm ", in real time" | tee -a "$out/dm-cdp.txt"
	plot dm-cdp-kvm
}

verdict()
{
	local below

	below=$(
		below_floor dm-cdp
		if kvm_works && [[ -e $out/dm-cdp-kvm.csv ]]; then
			below_floor dm-cdp-kvm | sed 's/$/, with KVM/'
		fi
	)
	printf '\n%s s; results in out/bench\n' "$SECONDS"
	if [[ $below ]]; then
		printf 'FAILED, below its floor:\n%s\n' "$below"
		return 1
	fi
}

main()
{
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	trap 'echo "bench: FAILED, the results are not complete (line $LINENO: ${BASH_COMMAND%% *})" >&2' ERR
	mkdir -p "$out"
	rm -f "$out"/dm-cdp{,-kvm}{,-latency,-also}.csv "$out"/dm-cdp{,-kvm}.svg "$out/dm-cdp.txt"
	"${CC:-cc}" -O2 -Wall -o "$dm_time" "$here/dm-time.c" -ldevmapper

	instruction_pass
	if [[ $KVM_PASS == 0 ]]; then
		echo
	elif [[ $KVM_PASS ]] || kvm_works; then
		kvm_pass
	else
		printf '\nThere is no KVM here: no second table.\n' | tee -a "$out/dm-cdp.txt"
	fi
	trap - ERR
	verdict | tee -a "$out/dm-cdp.txt"
}

main; exit
