# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Helpers for the dm-cdp tests. A test is a list of
#
#	it 'says a sentence' function
#
# and ends with run_tests. Each function runs in a subshell of its own, where any
# command that fails fails the test; afterwards all its devices are removed, and
# a warning in the kernel's log fails it too. `skip WHY` leaves it.
#
# A process costs a tenth of a second and more on an emulated machine: whatever is done
# often goes to one cdp_helper that runs all the time (see its list of commands).
#
# Devices are brd disks, $ram0 to $ram3, empty at the start of each test. All
# device-mapper names begin with cdptest-, which the helpers add.

set -u -o pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=tools/testing/selftests/lib/suite.sh
. "$here/../lib/suite.sh"
prefix=cdptest-
ram0=/dev/ram0 ram1=/dev/ram1 ram2=/dev/ram2 ram3=/dev/ram3


sentences=() functions=() workers=()

it()
{
	sentences+=("$1")
	functions+=("$2")
}

# Ends the test with an explanation.
fail()
{
	note "$*"
	exit 1
}

skip()
{
	note "SKIPPED: $*"
	echo "$*" > skipped
	exit 0
}

# ask COMMAND...: the helper's answer in $answer; fails if the command did. Not for
# the background: there is one helper.
ask()
{
	local rc

	printf '%s\n' "$*" >&8
	IFS= read -r -d '' -u 9 answer || return
	rc=${answer%%$'\n'*}

	answer=${answer#*$'\n'}
	[[ $rc == 0 ]] && return
	echo "$1: $answer" >&2
	return 1
}

# The same, with the answer on stdout.
tell()
{
	ask "$@" || return
	[[ -z $answer ]] || printf '%s\n' "$answer"
}

start_helper()
{
	helper=$(program cdp_helper)
	coproc HELPER { exec "$helper"; }
	exec 8>&"${HELPER[1]}" 9<&"${HELPER[0]}"
}

load_module()
{
	local m

	[[ -d /sys/module/dm_cdp ]] && return
	for m in dm-mod dm-bufio dm-persistent-data libcrc32c; do
		modprobe -q "$m" || true
	done
	[[ -e $MODULE ]] || skip_all "$MODULE is not built"
	insmod "$MODULE"
}

# Empty disks of $RAM_KIB; brd takes memory only for what is written.
ram_disks()
{
	modprobe -q -r brd || true
	modprobe brd rd_nr=4 rd_size="${RAM_KIB:-524288}" max_part=0
}

# Device-mapper, by short name.
node() { tell node "$1"; }
sectors_of() { tell size "$1"; }
create() { local name=$1 sectors=$2; shift 2; ask create rw "$name" "$sectors" "$@"; }
create_ro() { local name=$1 sectors=$2; shift 2; ask create ro "$name" "$sectors" "$@"; }
exists() { ask exists "$1" 2>/dev/null; }
suspend() { ask suspend "$1"; }
resume() { ask resume "$1"; }
status() { tell status "$1"; }
table() { tell table "$1"; }
events() { tell events "$1"; }

sysfs()
{
	local dev

	dev=$(node "$1")
	echo "/sys/block/${dev#/dev/}"
}

reload()	# NAME SECTORS TARGET [ARGS]
{
	ask load rw "$@" && suspend "$1" && resume "$1"
}

remove()
{
	local name

	for name; do
		ask remove "$name" || return
	done
}

# The pool's mode is the first word of its status.
mode() { ask status "${1:-pool}" && echo "${answer%% *}"; }
mode_is() { [[ $(mode) == "$1" ]]; }

message()	# WORDS: to the pool
{
	tell message "${pool:-pool}" "$@"
}

# pool_open [METADATA DATA [BLOCK [OPTIONS]]]
pool_open()
{
	local meta=${1:-$ram0} data=${2:-$ram1} block=${3:-8}

	shift $(($# < 3 ? $# : 3))
	ask size "$data" && create "${pool:-pool}" "$answer" cdp-pool "$meta" "$data" "$block" "$@"
}

volume_open()	# VOLUME SECTORS [NAME]
{
	ask node "${pool:-pool}" && create "${3:-$1}" "$2" cdp "$answer" "$1"
}

volume_new()	# VOLUME SECTORS
{
	ask message "${pool:-pool}" create_volume "$1" "$2" && volume_open "$1" "$2"
}

view_open()	# NAME VOLUME SECTORS INSTANT
{
	ask node "${pool:-pool}" && create_ro "$1" "$3" cdp-view "$answer" "$2" "$4"
}

now() { message time; }

remove_all() { ask remove_all; }

# Content, by device-mapper name or path.
path_of()
{
	case $1 in
	/*) answer=$1 ;;
	*) ask node "$1" ;;
	esac
}

put()	# DEVICE SEED [KIB [OFFSET-KIB]]: bytes that depend on the seed
{
	path_of "$1" && ask put "$answer" "$2" "${3:-1024}" "${4:-0}"
}

holds()	# DEVICE SEED [KIB [OFFSET-KIB]]: what put has put there?
{
	path_of "$1" && ask holds "$answer" "$2" "${3:-1024}" "${4:-0}"
}

zeroes()	# DEVICE [KIB [OFFSET-KIB]]
{
	path_of "$1" && ask zeroes "$answer" "${2:-1024}" "${3:-0}"
}

flush() { path_of "$1" && ask flush "$answer"; }
flushed_put() { put "$@" && flush "$1"; }
sum() { path_of "$1" && tell sum "$answer"; }

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

# The helper's command in the background, until calm; the file that it looks at for that is
# added. Returns when it has begun.
work()	# COMMAND DEVICE[,DEVICE]... WORDS
{
	local device paths='' n=${#workers[@]}

	for device in ${2//,/ }; do
		path_of "$device"
		paths+=,$answer
	done
	: > working
	"$helper" "$1" "${paths#,}" "${@:3}" "$PWD/working" > worked.$n 2> complaints.$n &
	workers+=($!)
	wait_until begun $! $n
}

# Or it has failed, which calm will tell.
begun() { [[ -e working.$1 || -s complaints.$2 ]]; }

# Puts again and again: each seed goes to a place of its own in the span, and to each of
# the devices in turn; a whole span at least.
stomp() { work stomp "$@"; }	# DEVICE[,DEVICE]... FIRST-SEED KIB SPAN-KIB

# Reads again and again, once at least: of each 4 KiB, nothing but what a put of the
# first of so many seeds has left there may show.
watch() { work watch "$@"; }	# DEVICE SEEDS KIB SPAN-KIB

# The same, once and here
made_of_puts()	# DEVICE SEEDS KIB SPAN-KIB
{
	path_of "$1" && ask watch "$answer" "$2" "$3" "$4" /no/such/file
}

# Ends the work, all of it. It fails if some has ended by itself: nothing would have been
# tested under load. How many puts or rounds each made is in $counts.
calm()
{
	local i

	for i in "${!workers[@]}"; do
		kill -0 "${workers[i]}" 2>/dev/null || fail "work $i ended too early: $(< complaints.$i)"
	done
	rm working
	counts=()
	for i in "${!workers[@]}"; do
		wait "${workers[i]}" || fail "work $i failed: $(< complaints.$i)"
		counts+=("$(< worked.$i)")
	done
	workers=()
}

# The one piece of work there is has to end by itself, with an I/O error and nothing else.
work_breaks()
{
	if wait "${workers[0]}"; then fail 'the work did not fail'; fi
	[[ $(< complaints.0) =~ ^[a-z]+:\ Input/output\ error$ ]] || fail "the failure: $(< complaints.0)"
	workers=()
}

# What stomp has left in its span: DEVICE SEED KIB SPAN-KIB PUTS
stomped()
{
	local seed places=$(($4 / $3))

	for ((seed = $2 + $5 - places; seed < $2 + $5; seed++)); do
		holds "$1" $seed "$3" $((seed % places * $3))
	done
}

# Waits for the pool's next event in the background; wait $waiter gets it. The number is
# asked for here: what the background expands would meet the foreground at the helper.
expect_event()
{
	ask events pool
	dmsetup wait "${prefix}pool" "$answer" > /dev/null &
	waiter=$!
}

same()	# WHAT IS WAS
{
	[[ $2 == "$3" ]] || fail "$1: '$2' instead of '$3'"
}

matches()	# WHAT TEXT REGEX
{
	[[ $2 =~ $3 ]] || fail "$1: '$2' does not match '$3'"
}

not() { ! "$@"; }

# The command has to fail.
refused()
{
	if "$@" > refused.out 2>&1; then
		fail "not refused: $*"
	fi
}

# The command has to fail, and the kernel to say why: refused_saying REGEX COMMAND...
refused_saying()
{
	local regex=$1 token=cdptest-$RANDOM$RANDOM

	shift
	ask kmsg $token
	refused "$@"
	ask said $token
	shopt -s nocasematch
	[[ $answer =~ $regex ]] || fail "'$*' was refused without /$regex/: $answer"
	shopt -u nocasematch
}

# Seconds since the boot, whatever the clock does
uptime()
{
	read -r seconds _ < /proc/uptime
	seconds=${seconds%.*}
}

# Runs the command until it succeeds; two minutes at most, on a machine that may be slow.
wait_until()
{
	local seconds deadline

	uptime
	deadline=$((seconds + 120))
	until "$@" > /dev/null 2>&1; do
		uptime
		((seconds < deadline)) || fail "waited in vain for: $*"
		sleep 0.1
	done
}

# Everything that a test can see of a pool's catalog.
lists() { tell lists "${pool:-pool}"; }

run_one()	# NUMBER
{
	local warnings verdict=ok rc i

	rm -f skipped refused.out
	for i in $ram0 $ram1 $ram2 $ram3; do
		ask zero $i 2048
	done
	ask warnings
	warnings=$answer

	(
		set -eE
		trap 'note "failed: $BASH_COMMAND (line $LINENO of ${FUNCNAME[0]:-})"' ERR
		"${functions[$1]}"
	)
	rc=$?
	((rc == 0)) || verdict='not ok'
	# The work of a test that broke off stops now, at the end of what it is at.
	rm -f working
	if ! (wait_until remove_all); then
		verdict='not ok'
		note 'devices could not be removed'
	fi
	ask warnings
	if [[ $answer != "$warnings" ]]; then
		verdict='not ok'
		dmesg | tail -n 60 | sed 's/^/# /'
	fi
	if [[ $verdict == ok && -s skipped ]]; then
		echo "ok $(($1 + 1)) ${sentences[$1]} # SKIP $(< skipped)"
		return
	fi
	[[ -s refused.out && $verdict != ok ]] && sed 's/^/#   /' refused.out
	echo "$verdict $(($1 + 1)) ${sentences[$1]}"
	[[ $verdict == ok ]] || failed=1
}

run_tests()
{
	local i failed=0

	cd "$(mktemp -d)" || exit
	load_module
	ram_disks
	start_helper
	echo "TAP version 13"
	echo "1..${#sentences[@]}"
	for i in "${!sentences[@]}"; do
		if [[ ${ONLY:-} && ! ${sentences[i]} =~ $ONLY ]]; then
			echo "ok $((i + 1)) ${sentences[i]} # SKIP not asked for"
			continue
		fi
		# Not in a condition: there bash would ignore set -e.
		run_one "$i"
	done
	exec 8>&- 9<&-
	modprobe -q -r brd || true
	exit $failed
}
