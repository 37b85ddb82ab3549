#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# cdp-tool, each verb of it, on a pool of its own: what it says, what its JSON says,
# how it ends, and that what it refuses changes nothing.

. "$(dirname "$0")/lib.sh"

name=${prefix}t		# the tool's name for what the helpers call t
pool=t
meta_sectors=32768 data_sectors=131072

# run ARGS: cdp-tool, its output in $out, its complaints in $err, its end in $status
run()
{
	status=0
	cdp-tool "$@" > out.txt 2> err.txt || status=$?
	out=$(< out.txt)
	err=$(< err.txt)
	shown="cdp-tool $*"
}

# It has to work, and has nothing to complain of.
tool()
{
	run "$@"
	((status == 0)) || fail "$shown ended with $status: $err"
	[[ ! $err ]] || fail "$shown complains: $err"
}

# The same with its answer in JSON, for which the filter has to hold: json FILTER ARGS
json()
{
	local filter=$1

	shift
	tool --json "$@"
	holds_json "$filter"
}

holds_json()
{
	jq -e "$1" out.txt > /dev/null || fail "$shown: '$1' does not hold for: $out"
}

# pick FILTER: from the JSON that was printed last
pick() { jq -r "$1" out.txt; }

# says REGEX...: each matches what was printed last
says()
{
	local regex

	for regex; do
		[[ $out =~ $regex ]] || fail "$shown says nothing that matches '$regex': $out"
	done
}

# All that a command may have changed: the catalog, devices and what uses them.
state()
{
	local f line

	now_state=
	if exists $pool; then
		ask lists $pool
		now_state=$answer
	fi
	for f in /sys/block/dm-*/dm/name; do
		[[ -e $f ]] || continue
		read -r line < "$f"
		now_state+=" $line"
	done
}

# It has to end with the code, say why, in words and as JSON, and change nothing:
# refuses CODE REGEX ARGS. The regex stands for the value or the holder that is to be named.
refuses()
{
	local code=$1 regex=$2 before

	shift 2
	state
	before=$now_state
	run --json "$@"
	((status == code)) || fail "$shown ended with $status instead of $code: $err"
	[[ $err =~ $regex ]] || fail "$shown was refused without '$regex': $err"
	holds_json ".exit_code == $code"
	[[ $(pick .error) =~ $regex ]] || fail "$shown: its JSON has no '$regex': $out"
	state
	same "state after '$shown'" "$now_state" "$before"
}

# Without JSON a refusal is on stderr alone.
refuses_in_words()
{
	local code=$1 regex=$2

	shift 2
	run "$@"
	((status == code)) || fail "$shown ended with $status instead of $code: $err"
	[[ $err =~ $regex ]] || fail "$shown was refused without '$regex': $err"
	same "output of '$shown'" "$out" ''
}

# Nothing that a test mounted or runs may keep devices.
tidy()
{
	trap - ERR
	set +e
	[[ ! ${holder:-} ]] || kill "$holder" 2>/dev/null
	umount -q mnt past 2>/dev/null
	exec 7>&-
}

devices()
{
	trap tidy EXIT
	mkdir -p mnt past
	create meta $meta_sectors linear $ram0 0
	create data $data_sectors linear $ram1 0
	meta=$(node meta)
	data=$(node data)
}

new_pool()
{
	devices
	tool pool create $name --metadata "$meta" --data "$data"
}

new_volume()	# SIZE
{
	new_pool
	tool volume create $name/v "$1" --open
	dev=/dev/mapper/$name-v
}

# Its time is in $marked.
mark()	# MARK [VOLUME]...
{
	tool mark $name "$@" --json
	marked=$(pick .time)
}

pool_life()
{
	new_pool
	says "pool $name is formatted and open" "cdp-tool volume create $name/"
	tool pool status $name
	says "pool $name: rw" 'data +[0-9]' 'metadata +[0-9]' 'journal +[0-9]' 'volumes +0' 'marks +0'
	json "length == 1 and .[0].pool == \"$name\" and .[0].mode == \"rw\" and .[0].block_size == 4096 and
		.[0].volumes == 0 and .[0].marks == 0 and .[0].data.used_bytes == 0 and
		.[0].data.total_bytes > 50000000 and .[0].metadata.total_bytes == $((meta_sectors * 512)) and
		(.[0].time_utc | type) == \"string\"" pool status
	tool pool close $name
	says "closed $name"
	if exists t; then fail 'the pool is still there'; fi
	tool pool status
	says 'no pool is open'
	json '. == []' pool status
	json ".pool == \"$name\" and .volumes == 0" pool open $name --metadata "$meta" --data "$data"
	json ".closed == [\"$name\"]" pool close $name
	tool pool open $name --metadata="$meta" --data="$data" --checkpoint-ms 700 --checkpoint-extents 900
	says "pool $name is open, 0 volumes"
	ask table t
	matches 'the table' "$answer" ' 8 4 .*checkpoint_extents 900'
	matches 'the table' "$answer" 'checkpoint_ms 700'
}
it 'a pool is made, shown, closed and opened' pool_life

pool_options()
{
	devices
	json ".pool == \"$name\" and .block_size == 16384 and .metadata == \"$meta\" and .data == \"$data\"" \
		pool create $name --metadata "$meta" --data "$data" --block-size 16K --journal 1M \
		--checkpoint-extents 1000 --checkpoint-ms 500
	ask table t
	matches 'the table' "$answer" ' 32 6 '
	matches 'the table' "$answer" 'checkpoint_extents 1000'
	json '.[0].block_size == 16384 and .[0].journal.total_bytes == 1048576' pool status $name
	tool volume create $name/v 20000
	json '.[0].size == 32768' volume list $name
	tool --quiet pool close $name
	same 'what it says with --quiet' "$out" ''
	# The block size is read from the devices.
	tool -q pool open $name --metadata "$meta" --data "$data"
	same 'what it says with -q' "$out" ''
	json '.[0].block_size == 16384 and .[0].volumes == 1' pool status $name
}
it 'a pool has the block size, journal and options that were asked for' pool_options

pool_words()
{
	local p

	devices
	p="pool create $name --metadata $meta --data $data"
	# shellcheck disable=SC2086
	{
		refuses 2 '--metadata and --data' pool create $name --metadata "$meta"
		refuses 2 'missing' pool create --metadata "$meta" --data "$data"
		refuses 2 'needs a value' pool create $name --data "$data" --metadata
		refuses 2 "'--colour'" $p --colour red
		refuses 2 "'more'" $p more
		refuses 2 "'5000'" $p --block-size 5000
		refuses 2 "'2K'" $p --block-size 2K
		refuses 2 "'128K'" $p --block-size 128K
		refuses 2 "'12K'" $p --block-size 12K
		refuses 2 "'four'" $p --block-size four
		refuses 2 "'60K'" $p --journal 60K
		refuses 2 "'5000000'" $p --journal 5000000
		refuses 2 "'8G'" $p --journal 8G
		refuses 2 "'1X'" $p --journal=1X
		refuses 2 "takes no value" $p --force=yes
	}
	for p in .x a/b '' 'a b' "$(printf 'a%.0s' {1..49})"; do
		refuses 2 "'$p'" pool create "$p" --metadata "$meta" --data "$data"
		refuses 2 "'$p'" pool open "$p" --metadata "$meta" --data "$data"
		refuses 2 "'$p'" pool close "$p"
		refuses 2 "'$p'" pool status "$p"
	done
	refuses 2 '--metadata and --data' pool open $name --data "$data"
	refuses 3 "'$name'" pool close $name
	refuses 3 "'$name'" pool status $name
	refuses 3 "'${prefix}meta'" pool status ${prefix}meta
	refuses 3 "'${prefix}meta'" pool close ${prefix}meta
	refuses 3 '/dev/no-such' pool create $name --metadata /dev/no-such --data "$data"
	refuses 3 '/dev/no-such' pool open $name --metadata "$meta" --data /dev/no-such
	refuses 1 "$PWD/out.txt is not a block device" \
		pool create $name --metadata "$meta" --data "$PWD/out.txt"
	refuses 2 "$meta and $meta are one device" pool create $name --metadata "$meta" --data "$meta"
	ln -s "$meta" same
	refuses 2 "$meta and $PWD/same are one device" \
		pool create $name --metadata "$meta" --data "$PWD/same" --force
	refuses 2 "$meta and $PWD/same are one device" \
		pool open $name --metadata "$meta" --data "$PWD/same"
	zeroes meta 2048
	zeroes data 2048
}
it 'pool verbs refuse wrong words and name them' pool_words

pool_holds_something()
{
	devices
	mkfs.ext4 -q "$data"
	sum data > before
	refuses 5 "$data holds ext4; --force" pool create $name --metadata "$meta" --data "$data"
	refuses 5 "$data holds ext4; --force" pool create $name --metadata "$data" --data "$meta"
	refuses_in_words 5 "$data holds ext4" pool create $name --metadata "$meta" --data "$data"
	put meta 1 4
	refuses 5 "$meta holds something" pool create $name --metadata "$meta" --data "$data"
	sum data | cmp - before
	holds meta 1 4
	tool pool create $name --metadata "$meta" --data "$data" --force
	refuses 5 "'$name' is open" pool create $name --metadata $ram2 --data $ram3
	zeroes $ram2
	tool pool close $name
	refuses 5 "$meta holds the metadata of a cdp pool" pool create $name --metadata "$meta" --data $ram3
	refuses 5 "$data holds the data of a cdp pool" pool create $name --metadata $ram2 --data "$data"
	tool pool open $name --metadata "$meta" --data "$data"
}
it 'a device that holds something becomes a pool only by --force' pool_holds_something

# In the background, as $holder: no other may claim the device, or mount it.
claim()	# DEVICE FLAGS
{
	perl -e 'use Fcntl; sysopen(F, $ARGV[0], O_EXCL | eval($ARGV[1])) or die "$!"; sleep' "$@" &
	holder=$!
	wait_until is_claimed "$1"
}

is_claimed() { [[ $(readlink "/proc/$holder/fd/"*) == *"$1"* ]]; }

pool_in_use()
{
	local how

	devices
	mkfs.ext4 -q "$data"
	mount "$data" mnt
	refuses 4 "$data is in use: .*mounted at $PWD/mnt" \
		pool create $name --metadata "$meta" --data "$data" --force
	umount mnt
	sum data > before
	exec 7<> "$meta"
	refuses 4 "$meta is in use: .*process $BASHPID " \
		pool create $name --metadata "$meta" --data "$data" --force
	exec 7>&-
	for how in O_RDWR O_RDONLY; do
		claim "$data" $how
		refuses 4 "$data is in use: .*process $holder .perl" \
			pool create $name --metadata "$meta" --data "$data" --force
		kill $holder
		wait $holder || true
	done
	refuses 4 "$ram0 is in use: .*device ${prefix}meta" \
		pool create $name --metadata $ram0 --data "$data" --force
	sum data | cmp - before
	zeroes meta 2048
	# Who only reads may go on: that is what udev does, whenever it likes.
	exec 7< "$meta"
	tool pool create $name --metadata "$meta" --data "$data" --force
	tool pool close $name
	tool pool open $name --metadata "$meta" --data "$data"
	exec 7<&-
	tool pool close $name
	exec 7<> "$data"
	refuses 4 "$data is in use: .*process $BASHPID " pool open $name --metadata "$meta" --data "$data"
	exec 7>&-
	tool pool open $name --metadata "$meta" --data "$data"
	refuses 4 "$meta is in use: .*device $name" pool open ${name}2 --metadata "$meta" --data "$data"
	refuses 4 "$meta is in use: .*device $name" pool open $name --metadata "$meta" --data "$data"
	refuses 4 "$data is in use: .*device $name" \
		pool create ${name}2 --metadata $ram2 --data "$data" --force
	zeroes $ram2
}
it 'a device that is in use does not become a pool, and who uses it is told' pool_in_use

pool_partners()
{
	new_pool
	tool pool close $name
	refuses 1 "$data" pool open $name --metadata "$data" --data "$meta"
	refuses 1 "$ram3" pool open $name --metadata "$meta" --data $ram3
	refuses 1 "$ram2" pool open $name --metadata $ram2 --data "$data"
	tool pool create ${prefix}u --metadata $ram2 --data $ram3
	tool pool close ${prefix}u
	refuses 1 "$ram3" pool open $name --metadata "$meta" --data $ram3
	tool pool open $name --metadata "$meta" --data "$data"
}
it 'pool open refuses what is no pool, and halves of two' pool_partners

pool_close_all()
{
	new_volume 8M
	tool volume create $name/w 1M --open
	tool mark $name m
	tool view open $name/v --at m
	exec 7< "/dev/mapper/$name-w"
	refuses 4 "$name-w.*process $BASHPID " pool close $name
	exec 7<&-
	exec 7< "/dev/mapper/$name-v@m"
	refuses 4 "$name-v@m.*process $BASHPID " pool close $name
	exec 7<&-
	tool pool close $name
	says "closed $name-v@m" "closed $name-v" "closed $name-w" "closed $name\$"
	for dev in t t-v t-w t-v@m; do
		if exists $dev; then fail "$dev is still there"; fi
	done
}
it 'a pool closes with its views and volumes, or not at all' pool_close_all

volume_life()
{
	new_pool
	tool volume list $name
	same 'a list of nothing' "$out" ''
	json '. == []' volume list $name
	tool volume create $name/a 5000
	says "volume $name/a is created, 8 KiB" "cdp-tool volume open $name/a"
	json ".pool == \"$name\" and .volume == \"b\" and .size == 4194304 and .open == true and
		.created > 0 and (.created_utc | endswith(\"Z\"))" volume create $name/b 4M --open
	json '.size == 4096' volume create $name/c 8s
	json '.size == 1003520' volume create $name/d 1MB
	tool volume list $name
	says 'VOLUME +SIZE +CREATED' $'\na +8 KiB .* -' $'\n''b +4 MiB .*/dev/mapper/'"$name-b"
	json "map(.volume) == [\"a\", \"b\", \"c\", \"d\"] and .[0].device == null and
		.[1].device == \"$name-b\" and .[0].branches == 1 and .[0].id == 1" volume list $name
	tool volume status $name/a
	says "volume $name/a" 'size +8 KiB' 'id +1' 'branch +0 of 1' 'device +not open'
	json '.device == null and .size == 8192 and .branches == 1 and .branch == 0' volume status $name/a
	exec 7< "/dev/mapper/$name-b"
	tool volume status $name/b
	says "device +/dev/mapper/$name-b" "held by +process $BASHPID "
	json ".device == \"$name-b\" and .open_count == 1 and .suspended == false and
		(.holders | length) == 1 and (.holders[0] | startswith(\"process $BASHPID \"))" volume status $name/b
	refuses 4 "process $BASHPID " volume close $name/b
	refuses 4 "process $BASHPID " volume delete $name/b
	exec 7<&-
	tool volume status $name/b
	says 'held by +nobody'
	put t-b 1 1024
	refuses 4 "cdp-tool volume close $name/b" volume delete $name/b
	refuses 5 "/dev/mapper/$name-b" volume open $name/b
	tool volume close $name/b
	says "$name/b is closed"
	refuses 3 "$name/b is not open" volume close $name/b
	json ".device == \"$name-b\"" volume open $name/b
	holds t-b 1 1024
	json '.closed == "b"' volume close $name/b
	tool volume open $name/b
	says "$name/b is /dev/mapper/$name-b"
	tool volume close $name/b
	tool mark $name m b
	tool view open $name/b --at m
	refuses 4 "cdp-tool view close $name-b@m" volume delete $name/b
	tool view close $name-b@m
	tool volume delete $name/b
	says "$name/b and its history are deleted"
	json '.deleted == "a"' volume delete $name/a
	json 'map(.volume) == ["c", "d"]' volume list $name
}
it 'a volume is made, listed, opened, closed and deleted' volume_life

volume_words()
{
	local w verb

	new_pool
	tool volume create $name/v 1M
	for w in ten 10Q 1.5 -5 -5G 1e6 '' '1 G' 99999999999T 1000000000000000000000 0x10; do
		refuses 2 "'$w'" volume create $name/x "$w"
	done
	refuses 2 'missing' volume create $name/x
	refuses 2 "'more'" volume create $name/x 1M more
	refuses 2 "'--size'" volume create $name/x --size 1M
	for w in $name $name/ $name/.x $name/@x $name/a/b "$name/a b" /v "$name/$(printf 'a%.0s' {1..64})"; do
		refuses 2 "'$w'" volume create "$w" 1M
		refuses 2 "'$w'" volume open "$w"
	done
	refuses 5 "$name/v" volume create $name/v 1M
	for verb in open close delete status; do
		refuses 2 "'$name'" volume $verb $name
		refuses 2 "missing" volume $verb
		refuses 3 "'nopool'" volume $verb nopool/v
	done
	for verb in open delete status; do
		refuses 3 "'nothing'" volume $verb $name/nothing
	done
	refuses 3 'nothing' volume close $name/nothing
	refuses 3 "'nopool'" volume create nopool/v 1M
	refuses 3 "'nopool'" volume list nopool
	refuses 2 "'$name/v'" volume list $name/v
	refuses_in_words 3 "'nothing'" volume status $name/nothing
}
it 'volume verbs refuse wrong words and name them' volume_words

marks()
{
	local w many=() i

	new_pool
	tool volume create $name/v 1M
	tool volume create $name/w 1M
	tool mark $name all
	says 'marked 20[0-9-]+ [0-9:.]+ as all'
	json ".pool == \"$name\" and .mark == \"one\" and .time > 0 and (.time_utc | endswith(\"Z\"))" \
		mark $name one v
	tool mark $name both v w
	matches 'the marks' "$(message list_marks)" \
		'^[0-9]+ all \*.[0-9]+ one v.[0-9]+ both v,w$'
	refuses 5 "'one'" mark $name one w
	refuses 3 "'n'.*'$name'" mark $name n v nothing
	refuses 2 "'v' is named twice" mark $name n v v
	for w in .x @x 'a b' '*' '' "$(printf 'a%.0s' {1..64})"; do
		refuses 2 "'$w'" mark $name "$w"
		[[ $w == @x ]] || refuses 2 "'$w'" unmark $name "$w"
		refuses 2 "'$w'" mark $name n "$w"
	done
	for ((i = 0; i < 65; i++)); do many+=("v$i"); done
	refuses 2 '64' mark $name n "${many[@]}"
	refuses 2 'missing' mark $name
	refuses 2 'missing' unmark $name
	refuses 2 "'more'" unmark $name all more
	refuses 3 "'nopool'" mark nopool n
	refuses 3 "'nopool'" unmark nopool n
	refuses 3 "'x'" unmark $name @x
	tool unmark $name all
	says 'mark all is forgotten'
	json '.unmarked == "one"' unmark $name @one
	refuses 3 "'one'" unmark $name one
	matches 'the marks' "$(message list_marks)" '^[0-9]+ both v,w$'
}
it 'marks are set and forgotten, of one volume, some or all' marks

log_tells()
{
	local t_m t_n t_r

	new_volume 1M
	tool volume create $name/w 1M
	mark m v
	t_m=$marked
	mark n w
	t_n=$marked
	tool volume close $name/v
	tool revert $name/v --to m --json
	t_r=$(pick .undo)
	tool log $name/v
	says 'create +v +created, 1 MiB' 'mark +v +@m' "revert +v +taken back .*branch 1 begins .undo: --to us:$t_r" \
		'now$'
	if [[ $out == *@n* ]]; then fail "the log of v tells of w: $out"; fi
	json "map(.event) == [\"create\", \"mark\", \"revert\", \"now\"] and
		.[1].mark == \"m\" and .[1].time == $t_m and .[2].revert_to == $t_m and .[2].undo == $t_r and
		.[2].branch == 1 and .[0].size == 1048576" log $name/v
	json 'map(.event) == ["create", "create", "mark", "mark", "revert", "now"] and
		([.[].time] | . == sort)' log $name
	json "map(.time) | .[0] == $t_n and length == 3" log $name --since n
	json "map(.event) == [\"create\", \"create\", \"mark\"]" log $name --until m
	json 'map(.event) == ["mark", "mark"]' log $name --since us:$t_m --until "@n"
	json 'map(.event) == ["revert", "now"]' log $name/v --since us:$t_r
	json 'length == 6' log $name --since -2d
	json 'map(.event) == ["now"]' log $name --since now
	json 'length == 6 and .[5].event == "now"' log $name --until now
	json 'map(.event) == ["now"]' log $name --since now --until now
	tool log $name --since now
	says '^20[0-9-]+ [0-9:.]+ +now$'
	json '. == []' log $name --until -2d
	refuses 2 "'x y'" log $name --since 'x y'
	refuses 3 "'x'" log $name --until x
	refuses 3 "'nothing'" log $name/nothing
	refuses 3 "'nopool'" log nopool
	refuses 2 "'$name/a/b'" log $name/a/b
	refuses 2 'missing' log
}
it 'the log tells what happened, in order, within the time asked for' log_tells

# What INSTANT of the volume is that? In $instant
instant_of()
{
	tool revert $name/v --to "$1" --dry-run --json
	instant=$(pick .instant)
}

is_instant()	# WORD MICROSECONDS
{
	instant_of "$1"
	same "instant '$1'" "$instant" "$2"
}

older_than() { (($(now) > $1)); }

instants()
{
	local t s us before after w

	new_pool
	tool --json volume create $name/v 1M
	t=$(pick .created)
	wait_until older_than $((t + 1500000))
	mark m
	t=$marked
	s=$((t / 1000000)) us=$(printf %06d $((t % 1000000)))
	is_instant m "$t"
	is_instant @m "$t"
	is_instant "us:$t" "$t"
	is_instant "$(date -d @$s '+%F %T').$us" "$t"
	is_instant "$(date -d @$s +%FT%T).$us" "$t"
	is_instant "$(date -u -d @$s +%FT%T).${us}Z" "$t"
	is_instant "$(date -u -d @$((s + 3600)) '+%FT%T').$us+01:00" "$t"
	is_instant "$(date -u -d @$((s - 19800)) '+%F %T').$us-0530" "$t"
	is_instant "$(date -u -d @$s +%FT%T)Z" $((s * 1000000))
	for w in -1s -0.5s -1sec now; do
		before=$(now)
		instant_of $w
		after=$(now)
		case $w in
		now) t=0 ;;
		-0.5s) t=500000 ;;
		*) t=1000000 ;;
		esac
		((instant >= before - t && instant <= after - t)) ||
			fail "'$w' is $instant, not between $before and $after minus $t"
	done
	TZ=Asia/Tokyo run revert $name/v --to "$(TZ=Asia/Tokyo date -d @$s '+%F %T').$us" --dry-run --json
	holds_json ".instant == $s$us"
	for w in -5min -1h30m -2d -1w '2001-02-03 04:05' 2001-02-03 us:1 '2099-01-01 00:00:00' @x x 14h; do
		refuses 3 "'${w#@}'" revert $name/v --to "$w" --dry-run
	done
	for w in -5parsecs -5 -5m1h '2026-02-30' '2026-11-21 25:00' '2026-11-21 14:03:99' us:x us: @ '@a b' '' \
		-99999999999w; do
		refuses 2 "'$w'" revert $name/v "--to=$w" --dry-run
		refuses 2 "'$w'" view open $name/v "--at=$w"
	done
}
it 'an instant is a mark, a time of day or of a zone, microseconds, or so long ago' instants

reverts()
{
	local was undo t

	new_volume 4M
	put t-v 1 1024
	tool mark $name first
	was=$(sum t-v)
	put t-v 2 1024 512
	tool mark $name second
	put t-v 3 64
	t=$(sum t-v)
	refuses 2 '--to INSTANT' revert $name/v
	refuses 3 "'x'" revert $name/v --to x
	refuses 3 "'nothing'" revert $name/nothing --to first
	refuses 3 "'nopool'" revert nopool/v --to first
	refuses 2 "'$name'" revert $name --to first
	refuses 2 "'--force'" revert $name/v --to first --force
	state
	was_state=$now_state
	tool revert $name/v --to first --dry-run
	says "would take $name/v back to" 'on branch 0; a new branch 1' '1 mark would be left behind' \
		'nothing was changed'
	json ".dry_run == true and .instant_branch == 0 and .new_branch == 1 and .marks_left_behind == 1 and
		.pool == \"$name\" and .volume == \"v\"" revert --dry-run $name/v --to first
	# It also answers while the volume is in use.
	exec 7< "$dev"
	tool revert $name/v --to first --dry-run
	exec 7<&-
	state
	same 'the state after dry runs' "$now_state" "$was_state"
	same 'the content after dry runs' "$(sum t-v)" "$t"
	tool revert $name/v --to first
	says "$name/v is as it was at" "undo: cdp-tool revert $name/v --to us:[0-9]+"
	same 'the content' "$(sum t-v)" "$was"
	undo=${out##*undo: cdp-tool }
	# shellcheck disable=SC2086
	json '.dry_run == false and .undo > .instant' $undo
	same 'the content, undone' "$(sum t-v)" "$t"
	tool revert "$name/v" --to "us:$(pick .undo)"
	same 'the content, redone' "$(sum t-v)" "$was"
	# What was left behind can still be reached.
	tool revert $name/v --to second
	holds t-v 2 1024 512
	tool volume close $name/v
	tool revert $name/v --to first
	tool volume open $name/v
	same 'the content of a volume reverted while closed' "$(sum t-v)" "$was"
}
it 'a revert does what its dry run said, and can be undone as it says' reverts

revert_in_use()
{
	new_volume 16M
	tool mark $name empty
	mkfs.ext4 -q "$dev"
	mount "$dev" mnt
	refuses 4 "mounted at $PWD/mnt" revert $name/v --to empty
	refuses_in_words 4 "mounted at $PWD/mnt" revert $name/v --to empty
	umount mnt
	sleep infinity < "$dev" &
	holder=$!
	wait_until test "/proc/$holder/fd/0" -ef "$dev"
	refuses 4 "process $holder .(sleep|bash|tool.sh)" revert $name/v --to empty
	kill $holder
	wait $holder || true
	create above 2048 linear "$(node t-v)" 0
	refuses 4 "device ${prefix}above" revert $name/v --to empty
	remove above
	tool revert $name/v --to empty
	zeroes t-v 16384
}
it 'a volume that is mounted or held is not reverted, and who holds it is told' revert_in_use

views()
{
	local t one two

	modprobe -a -q loop dm-snapshot || skip 'no loop and dm-snapshot'
	new_volume 4M
	put t-v 1 1024
	one=$(sum t-v)
	mark m
	t=$marked
	put t-v 2 1024
	two=$(sum t-v)
	tool view list
	same 'a list of nothing' "$out" ''
	json '. == []' view list $name
	tool view open $name/v --at m
	says "$name/v at .* is /dev/mapper/$name-v@m"
	same 'the view' "$(sum t-v@m)" "$one"
	json ".device == \"/dev/mapper/$name-v@$t\" and .instant == $t and .mounted_at == null" \
		view open $name/v --at "us:$t"
	json ".view == \"${prefix}old\"" view open $name/v --at now --name ${prefix}old
	same 'the view of now' "$(sum old)" "$two"
	put t-v 3 64
	same 'the view of now, later' "$(sum old)" "$two"
	refused dd if=/dev/zero of=/dev/mapper/${prefix}old bs=4k count=1 oflag=direct
	tool view list
	says 'VIEW +VOLUME' "$name-v@m +v .*-" "${prefix}old +v "
	exec 7< "/dev/mapper/$name-v@m"
	json "length == 3 and (map(select(.view == \"$name-v@m\"))[0] | .volume == \"v\" and .instant == $t and
		.size == 4194304 and (.holders[0] | startswith(\"process $BASHPID \")))" view list $name
	refuses 4 "process $BASHPID " view close $name-v@m
	exec 7<&-
	refuses 5 "$name-v@m is open already" view open $name/v --at m
	refuses 5 "${prefix}old is open already" view open $name/v --at m --name ${prefix}old
	refuses 2 "'a/b'" view open $name/v --at m --name a/b
	refuses 2 '1 to 115 of' view open $name/v --at m --name "$(printf 'a%.0s' {1..200})"
	refuses 2 '--at INSTANT' view open $name/v
	refuses 3 "'x'" view open $name/v --at x
	refuses 3 "'-5min'" view open $name/v --at -5min
	refuses 3 "'nothing'" view open $name/nothing --at m
	refuses 3 "'nopool'" view open nopool/v --at m
	refuses 3 '/no/directory' view open $name/v --at m --mount /no/directory
	refuses 1 'no file system' view open $name/v --at m --name ${prefix}x --mount past
	refuses 1 'no file system' view open $name/v --at m --name ${prefix}x --mount past --no-replay
	refuses 3 "'nothing'" view close nothing
	refuses 3 "'$name-v' is not a view" view close $name-v
	refuses 3 "$PWD/past" view close "$PWD/past"
	refuses 3 '/no/directory' view close /no/directory
	refuses 3 "'nopool'" view list nopool
	refuses 2 'missing' view close
	tool view close $name-v@m
	says "closed $name-v@m"
	json ".closed == \"${prefix}old\"" view close /dev/mapper/${prefix}old
	tool view close "$name-v@$t"
	json '. == []' view list
}
it 'views are opened, listed, named and closed' views

mount_options_of()	# DIRECTORY
{
	local device where type rest

	options=
	while read -r device where type rest; do
		[[ $where != "$PWD/$1" ]] || options="$type $rest"
	done < /proc/mounts
	[[ $options ]] || fail "nothing is mounted at $1"
}

view_mount()	# FS SIZE WORD-FOR-NO-REPLAY
{
	modprobe -q "$1" || skip "no $1"
	modprobe -a -q loop dm-snapshot || skip 'no loop and dm-snapshot'
	new_volume "$2"
	"mkfs.$1" -q "$dev"
	mount "$dev" mnt
	echo before > mnt/file
	sync -f mnt
	tool mark $name m
	echo after > mnt/file
	sync -f mnt

	# Beside the live one, which has the same uuid.
	tool view open $name/v --at m --mount "$PWD/past"
	says "mounted read-only at $PWD/past" "cdp-tool view close $PWD/past"
	same 'the past' "$(< past/file)" before
	same 'the present' "$(< mnt/file)" after
	refused touch past/new
	mount_options_of past
	matches 'the mount' "$options" "^$1 ro"
	if [[ $options == *$3* ]]; then fail "mounted without replay: $options"; fi
	exists t-v@m-rw
	tool view list
	says "$name-v@m .*mounted at $PWD/past"
	json "(.[0].holders | index(\"mounted at $PWD/past\")) != null" view list
	refuses 4 "mounted at $PWD/past" view close $name-v@m
	refuses 4 "$name" pool close $name
	exec 7< past/file
	refuses 4 "$PWD/past" view close "$PWD/past"
	exec 7<&-
	tool view close "$PWD/past"
	says "closed $name-v@m"
	if exists t-v@m; then fail 'the view is still there'; fi
	if exists t-v@m-rw; then fail 'its snapshot is still there'; fi

	json ".mounted_at == \"$PWD/past\" and .view == \"$name-v@m\"" \
		view open $name/v --at m --mount "$PWD/past" --no-replay
	mount_options_of past
	matches 'the mount' "$options" "^$1 ro.*$3"
	if exists t-v@m-rw; then fail 'a snapshot for a mount without replay'; fi
	refused touch past/new
	json ".closed == \"$name-v@m\"" view close "$PWD/past"
	umount mnt
	tool pool close $name
}
mount_ext4() { view_mount ext4 32M norecovery; }
it 'a view of ext4 is mounted with its journal replayed, or left alone' mount_ext4
mount_xfs() { data_sectors=800000; view_mount xfs 320M norecovery; }
it 'a view of xfs is mounted with its journal replayed, or left alone' mount_xfs

offline()
{
	local t root verb

	new_volume 4M
	put t-v 1 1024
	flush t-v
	mark m
	t=$marked
	tool revert $name/v --to m
	tool volume create $name/w 1M
	tool mark $name n w
	refuses 4 "$meta is in use.*: device $name " check "$meta"
	refuses 4 "$meta is in use.*: device $name " dump "$meta" "$data"
	tool pool close $name

	tool check "$meta" "$data"
	says '^sound: 2 volumes, 2 marks, [0-9]+ versions'
	json '.sound == true and .nr_findings == 0 and .findings == [] and .volumes == 2 and .marks == 2 and
		.versions > 0 and .journal_checked == true' check "$meta" "$data"
	json '.sound == true and .journal_checked == false' check "$meta"
	tool dump "$meta" "$data" --versions --records --space
	says superblock label 'volume 1 v sectors 8192' 'branch 1 start' "mark $t m \*" ' n 2' 'used [0-9]'
	json '(.volumes | map(.name)) == ["v", "w"] and (.volumes[0].branches | length) == 2 and
		(.marks | map(.name)) == ["m", "n"] and .marks[1].volumes == [2] and (.versions | length) > 0 and
		(.used | map(.nr) | add) == .superblock.used_data_blocks and
		.label.uuid == .superblock.uuid and .superblock.block_sectors == 8 and .findings == []' \
		dump "$meta" "$data" --versions --space
	json '.superblock.tree_entries > 0 and has("versions") == false' dump "$meta"
	refuses 2 'not named' dump "$meta" --records
	refuses 2 'missing' check
	refuses 2 "'more'" check "$meta" "$data" more
	refuses 2 "'--fix'" check "$meta" --fix
	refuses 3 /dev/no-such check /dev/no-such
	refuses 3 /dev/no-such dump "$meta" /dev/no-such
	for verb in check dump; do
		run $verb $ram2
		same "exit status of '$shown'" $status 1
		says "^damage: superblock: $ram2: not the metadata device of a cdp pool"
		run $verb "$data" --json
		same "exit status of '$shown'" $status 1
		holds_json ".findings[0] | .where == \"superblock\" and (.what | startswith(\"$data: not \"))"
	done

	# Images say the same.
	ask copy "$meta" "$PWD/meta.img"
	ask copy "$data" "$PWD/data.img"
	json '.sound == true' check meta.img data.img

	tool dump meta.img --json
	root=$(pick .superblock.marks_root)
	ask flip "$meta" $((root * 4096 + 100))
	run check "$meta" "$data"
	same 'exit status of the check of damage' $status 1
	says '^damage: marks: ' 'DAMAGED'
	run check "$meta" "$data" --json
	same 'exit status of the check of damage' $status 1
	holds_json '.sound == false and .nr_findings > 0 and (.findings | map(.where) | index("marks")) != null'
	run --quiet check "$meta" "$data"
	same 'exit status of the check of damage' $status 1
	says '^damage: '
	run dump "$meta" "$data" --json
	same 'exit status of the dump of damage' $status 1
	holds_json '(.findings | length) > 0'
	run check meta.img $ram3 --json
	same 'exit status of the check of foreign data' $status 1
	holds_json ".findings[0] | .where == \"data device\" and (.what | startswith(\"$ram3: \"))"
}
it 'check and dump tell what a closed pool holds, and what is damaged' offline

in_super()	# OFFSET BYTES
{
	# shellcheck disable=SC2059
	printf "$2" | dd of="$meta" bs=1 seek="$1" conv=notrunc,fsync status=none
	blockdev --flushbufs "$meta"
	seal "$meta"
}

no_space()
{
	new_pool
	tool pool close $name
	# Its next_volume: 2^24 - 2, the last one of which the superblock can hold the next.
	in_super 92 '\xfe\xff\xff\x00'
	tool pool open $name --metadata "$meta" --data "$data"
	tool volume create $name/last 1M
	json '.[0].id == 16777214' volume list $name
	refuses 6 'no space left' volume create $name/more 1M
	refuses_in_words 6 "$name/more: no space left" volume create $name/more 1M
}
it 'exit status 6: the pool has no number left for a volume' no_space

no_metadata_space()
{
	local i

	meta_sectors=4096
	new_volume 1M
	for ((i = 1; i < 6000; i++)); do
		ask message $pool mark "m$i" '*' 2> refused.out || break
	done
	matches 'the refusal' "$(< refused.out)" 'No space left'
	note "$((i - 1)) marks before there was no room"
	refuses 6 "'more'.*no space left" mark $name more
	refuses_in_words 6 "'more'.*no space left" mark $name more
	refuses 6 "$name/w.*no space left" volume create $name/w 1M
	tool volume close $name/v
	refuses 6 "$name/v.*no space left" revert $name/v --to m1
	tool unmark $name m2
	tool volume delete $name/v
	tool pool close $name
	tool check "$meta" "$data"
}
it 'exit status 6: the metadata device is full; what takes no space goes on' no_metadata_space

features()
{
	new_pool
	tool pool close $name
	in_super 48 '\x05'
	json '.superblock.compat == 5' dump "$meta" "$data"
	tool pool open $name --metadata "$meta" --data "$data"
	tool volume create $name/v 1M
	tool pool close $name
	json '.superblock.compat == 5 and (.volumes | length) == 1' dump "$meta" "$data"
	json '.sound == true' check "$meta" "$data"
	in_super 40 '\x01'
	refuses 1 "$meta.*features" pool open $name --metadata "$meta" --data "$data"
	run check "$meta" "$data"
	same 'exit status' $status 1
	says "^damage: superblock: $meta: uses features"
}
it 'unknown compat features of a pool are kept, incompat ones refused' features

not_permitted()
{
	local as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

	new_volume 1M
	tool mark $name m
	# The tree may be where nobody else can look.
	mkdir -p /tmp/for-nobody
	install -m 755 "$(type -P cdp-tool)" /tmp/for-nobody/cdp-tool
	chmod 755 /tmp/for-nobody
	cat > /tmp/for-nobody/run <<END
#!/bin/sh
exec ${as_nobody[*]} /tmp/for-nobody/cdp-tool "\$@"
END
	chmod 755 /tmp/for-nobody/run
	cdp-tool() { /tmp/for-nobody/run "$@"; }
	refuses 7 'not permitted' pool status
	refuses 7 'not permitted' pool close $name
	refuses 7 'not permitted' volume create $name/w 1M
	refuses 7 'not permitted' mark $name n
	refuses 7 'not permitted' revert $name/v --to m
	refuses 7 'not permitted' view open $name/v --at m
	refuses 7 'not permitted' check $ram2
}
it 'exit status 7: not for everybody' not_permitted

no_module()
{
	new_pool
	tool pool close $name
	rmmod dm_cdp
	refuses 8 "modprobe dm-cdp" pool open $name --metadata "$meta" --data "$data"
	refuses 8 "modprobe dm-cdp" pool create $name --metadata $ram2 --data $ram3
	refuses 3 "'$name'" pool status $name
	json '.sound == true' check "$meta" "$data"
	load_module
	tool pool open $name --metadata "$meta" --data "$data"
}
it 'exit status 8: the module is not loaded' no_module

numbers()
{
	local word

	devices
	mkfs.ext4 -q "$data"
	sum data > before
	for word in none 0 9 99999999999; do
		refuses 2 "'$word'" pool create $name --metadata "$meta" --data "$data" --force \
			--checkpoint-extents $word
		refuses 2 "'$word'" pool create $name --metadata "$meta" --data "$data" --force \
			--checkpoint-ms $word
	done
	sum data | cmp - before
}
it 'wrong checkpoint options are refused by name before anything is overwritten' numbers

foreign_volume()
{
	local stranger

	new_volume 8M
	tool volume create $name/w 8M
	dmsetup create ${prefix}stranger --table "0 16384 cdp $(node t) w"
	stranger=$(node stranger)
	mkfs.ext4 -q "$stranger"
	mount "$stranger" mnt
	refuses 4 "${prefix}stranger .*mounted at $PWD/mnt" pool close $name
	umount mnt
	exec 7< "$stranger"
	refuses 4 "${prefix}stranger .*process $BASHPID " pool close $name
	exec 7<&-
	create above 2048 linear "$stranger" 0
	refuses 4 "${prefix}stranger .*device ${prefix}above" pool close $name
	remove above
	tool pool close $name
	says "closed ${prefix}stranger" "closed $name-v" "closed $name\$"
	for dev in stranger t-v t; do
		if exists $dev; then fail "$dev is still there"; fi
	done
}
it 'a volume that dmsetup opened is closed with its pool, unless it is in use' foreign_volume

volume_extremes()
{
	new_pool
	refuses 2 "'0'" volume create $name/x 0
	refuses 2 "'2048T'" volume create $name/x 2048T
}
it 'a volume of no size, or of too much, is refused by that size' volume_extremes

revert_foreign()
{
	new_pool
	tool volume create $name/v 16M
	tool mark $name empty
	dmsetup create ${prefix}other --table "0 32768 cdp $(node t) v"
	mkfs.ext4 -q "$(node other)"
	mount "$(node other)" mnt
	refuses 4 "mounted at $PWD/mnt" revert $name/v --to empty
	umount mnt
	exec 7< "$(node other)"
	refuses 4 "process $BASHPID " revert $name/v --to empty
	exec 7<&-
	tool revert $name/v --to empty
}
it 'a volume that dmsetup opened, without a uuid, is as safe from reverts' revert_foreign

small_metadata()
{
	local need

	data_sectors=140000
	devices
	# 512 blocks, and space words for 200 GiB need more.
	create small 4096 linear $ram2 0
	dmsetup create ${prefix}large <<END
0 $data_sectors linear $ram1 0
$data_sectors 419430400 zero
END
	refuses 1 "$(node small) is too small: it has 2097152 bytes, metadata for $(node large) need [0-9]+" \
		pool create $name --metadata "$(node small)" --data "$(node large)"
	zeroes small 2048
	zeroes large 1024
	need=${err##*need }
	remove small
	create small $((need / 512 - 8)) linear $ram2 0
	refuses 1 "need $need" pool create $name --metadata "$(node small)" --data "$(node large)"
	remove small
	create small $((need / 512)) linear $ram2 0
	tool pool create $name --metadata "$(node small)" --data "$(node large)"
	tool volume create $name/v 1M
}
it 'a metadata device that is too small for the data device is refused, with what it needs' small_metadata

usage()
{
	local verb

	run
	same 'exit status without words' $status 2
	says 'Usage: cdp-tool'
	tool --help
	says 'pool create' 'view open' 'INSTANT'
	tool help
	for verb in 'pool create' 'pool open' 'pool close' 'pool status' 'volume create' 'volume delete' \
		'volume list' 'volume status' 'volume open' 'volume close' mark unmark revert 'view open' \
		'view close' 'view list' log check dump; do
		# shellcheck disable=SC2086
		tool $verb --help
		says "cdp-tool $verb" Example
	done
	refuses 2 "'fly'" fly
	refuses 2 "'pool fly'" pool fly
	refuses 2 "'--fly'" pool status --fly
	refuses_in_words 2 "'fly'" fly
	run pool create x
	matches 'the usage behind an error' "$err" 'Usage: cdp-tool pool create <pool> --metadata DEV'
	# Options stand before or behind, and -- ends them.
	json '. == []' pool status
	tool pool status --json
	holds_json '. == []'
	refuses 2 "'--help'" pool status -- --help
}
it 'the command line is explained, and a wrong word in it named' usage

command -v jq > /dev/null || skip_all 'no jq'
run_tests
