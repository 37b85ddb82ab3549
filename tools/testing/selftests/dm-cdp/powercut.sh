#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# On the host: kills the whole VM under load at a random moment, boots it again with
# the same disks, and compares. powercut.sh [ROUNDS]; KERNEL, LONG, SEED.

set -u -o pipefail

here=$(dirname "$(readlink -f "$0")")
TREE=${here%/tools/testing/selftests/dm-cdp}
run=$TREE/tools/testing/vm/run
kernel=${KERNEL:-6.1}
rounds=${1:-$([[ ${LONG:-} ]] && echo 20 || echo 1)}
RANDOM=${SEED:-$((RANDOM))}
programs=$TREE/out/selftests/dm-cdp

work=$(mktemp -d)
vm=
cleanup()
{
	[[ $vm ]] && kill "$vm" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

EMULATOR_FAILED=95	# vm/run's status

guest()	# ARGS of cdp_powercut
{
	"$run" --kernel "$kernel" --disk "$work/meta" --disk "$work/data" --log "$work/log" \
		--share "$work/share" --pidfile "$work/pid" --timeout 300 \
		-- "$here/powercut-guest.sh" "$@"
}

# Is the first round done? Fails when the machine has ended without, or has run for 300 s.
# It does not run before QEMU's pid file exists: another machine may have the lock.
loaded()
{
	local since=

	while kill -0 $vm 2>/dev/null; do
		grep -q '^round 1$' "$work/out" && return
		[[ $since || ! -s $work/pid ]] || since=$SECONDS
		[[ ! $since ]] || ((SECONDS - since < 300)) || break
		sleep 0.1
	done
	return 1
}

# The VM dies at a moment of its own after the first round. Else vm/run's status.
die_under_load()	# SEED
{
	local pause cut status

	: > "$work/out"
	rm -f "$work/pid"
	guest run /dev/vda /dev/vdb "$1" > "$work/out" 2> "$work/err" &
	vm=$!
	if ! loaded; then
		kill $vm 2>/dev/null
		wait $vm
		status=$?
		vm=
		return $((status ? status : 1))
	fi
	pause=$((RANDOM % 6000))
	sleep "$((pause / 1000)).$(printf %03d $((pause % 1000)))"
	# A machine that has ended by itself was not cut, and something is wrong with it.
	cut=
	kill -9 "$(< "$work/pid")" && cut=1
	wait $vm
	status=$?
	vm=
	[[ $cut ]] || return $((status ? status : 1))
}

acked_round() { sed -n 's/^round //p' "$work/out" | tail -n1; }

# The last acknowledged flush of each thread, of the round that was not ended.
acks()
{
	awk '/^round / { delete last } /^flushed / { last[$2] = $3 } END { for (t in last) print last[t] }' \
		"$work/out"
}

cut_power()	# SEED
{
	truncate -s 0 "$work/meta" "$work/data"
	truncate -s 32M "$work/meta"
	truncate -s 2G "$work/data"
	die_under_load "$1"
}

# A machine that dies of its emulator has its power cut once more.
verify()	# SEED
{
	# shellcheck disable=SC2046
	guest verify /dev/vda /dev/vdb "$1" "$(acked_round)" $(acks)
}

again_if_emulator_failed()	# COMMAND...
{
	local i status

	for i in 1 2 3; do
		status=0
		"$@" || status=$?
		((status == EMULATOR_FAILED)) || break
		echo "# the emulator failed"
	done
	return $status
}

one_round()	# NUMBER
{
	local seed=$RANDOM$RANDOM

	echo "# seed $seed"
	if ! again_if_emulator_failed cut_power "$seed"; then
		tail -n 20 "$work/out" "$work/err" "$work/log" | sed 's/^/# /'
		echo "not ok $1 the machine runs under load"
		return 1
	fi
	echo "# $(grep -c '^flushed' "$work/out") flushes acknowledged, killed after $(tail -n1 "$work/out")"
	if again_if_emulator_failed verify "$seed" > "$work/verdict" 2>&1; then
		grep '^# ' "$work/verdict"
		echo "ok $1 after power cut $1 all that was acknowledged is there"
	else
		sed 's/^/# /' "$work/verdict"
		mkdir -p "$TREE/out/powercut"
		cp --sparse=always "$work/meta" "$work/data" "$work/out" "$TREE/out/powercut/"
		echo "# disks kept in out/powercut"
		echo "not ok $1 after power cut $1 all that was acknowledged is there"
		return 1
	fi
}

make -s -C "$here" OUT="$programs" || exit
echo "TAP version 13"
echo "1..$rounds"
failed=0
for ((n = 1; n <= rounds; n++)); do
	one_round $n || failed=1
done
exit $failed
