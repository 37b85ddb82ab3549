#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Messages to the pool: each is strict, and one that fails changes nothing.

. "$(dirname "$0")/lib.sh"

size=2048
long=$(printf 'a%.0s' {1..64})

# refused_unchanged WORDS: the message fails and no list shows a difference.
refused_unchanged()
{
	local before

	ask lists pool
	before=$answer
	refused message "$@"
	ask lists pool
	same "lists after '$*'" "$answer" "$before"
}

pool_with_two()
{
	pool_open
	volume_new a $size
	volume_new b $size
}

bad_create()
{
	pool_with_two
	refused_unchanged create_volume
	refused_unchanged create_volume c
	refused_unchanged create_volume c $size more
	refused_unchanged create_volume a $size
	refused_unchanged create_volume c 0
	refused_unchanged create_volume c -8
	refused_unchanged create_volume c 12x
	refused_unchanged create_volume c 99999999999999999999
	refused_unchanged create_volume c 18446744073709551608
	refused_unchanged create_volume "$long" $size
	refused_unchanged create_volume .c $size
	refused_unchanged create_volume @c $size
	refused_unchanged create_volume '*' $size
	refused_unchanged create_volume c/d $size
	refused_unchanged create_volume c,d $size
	ask message pool create_volume "${long:1}" $size
	ask message pool create_volume 0._+:-Z $size
}
it 'create_volume takes a new, valid name and a size, nothing else' bad_create

bad_delete()
{
	pool_with_two
	refused_unchanged delete_volume
	refused_unchanged delete_volume c
	refused_unchanged delete_volume a
	remove a b
	refused_unchanged delete_volume a b
	message delete_volume a
	refused_unchanged delete_volume a
}
it 'delete_volume takes one volume that nobody uses' bad_delete

bad_mark()
{
	pool_with_two
	refused_unchanged mark
	refused_unchanged mark m
	refused_unchanged mark m c
	refused_unchanged mark m a c
	refused_unchanged mark m a a
	refused_unchanged mark m '*' a
	refused_unchanged mark m a '*'
	refused_unchanged mark "$long" a
	refused_unchanged mark @m a
	refused_unchanged mark -m a
	ask message pool mark m a b
	refused_unchanged mark m a
	refused_unchanged mark m '*'
	ask message pool mark "${long:1}" '*'
	refused_unchanged unmark
	refused_unchanged unmark n
	refused_unchanged unmark @m
	refused_unchanged unmark m m
	ask message pool unmark m
	refused_unchanged unmark m
}
it 'mark and unmark take what exists, once' bad_mark

too_many()
{
	local i names=()

	pool_open
	for ((i = 0; i < 65; i++)); do
		message create_volume "v$i" 8 >/dev/null
		names+=("v$i")
	done
	refused_unchanged mark m "${names[@]}"
	message mark m "${names[@]:0:64}" >/dev/null
	message mark all '*' >/dev/null
	matches 'the mark of 64' "$(message list_marks)" ' m v0,v1,.*,v63'
	matches 'the mark of all' "$(message list_marks)" ' all \*'
}
it 'a mark names up to 64 volumes, or all' too_many

bad_revert()
{
	local future

	pool_with_two
	future=$(($(now) + 60000000))
	refused_unchanged revert
	refused_unchanged revert a
	refused_unchanged revert c "$(now)"
	refused_unchanged revert a "$(now)" more
	refused_unchanged revert a 0
	refused_unchanged revert a 1
	refused_unchanged revert a "$future"
	refused_unchanged revert a 18446744073709551615
	refused_unchanged revert a 99999999999999999999
	refused_unchanged revert a -1
	refused_unchanged revert a @nothing
	refused_unchanged revert a @
	refused_unchanged revert a 0x10
	ask message pool mark only_b b
	refused_unchanged revert a @only_b
	refused_unchanged resolve a @only_b
	refused_unchanged resolve a "$future"
	refused_unchanged resolve a 1
	refused_unchanged resolve c "$(now)"
	refused_unchanged resolve a
	ask message pool revert b @only_b
}
it 'revert takes a volume and an instant that it has' bad_revert

unknown()
{
	pool_with_two
	refused_unchanged
	refused_unchanged nonsense
	refused_unchanged TIME
	refused_unchanged time now
	refused_unchanged checkpoint please
	refused_unchanged list_volumes a
	refused_unchanged list_marks x
	refused_unchanged list_marks 1 2
	refused_unchanged list_branches
	refused_unchanged list_branches c
	refused_unchanged list_branches a b
	refused ask message a time
}
it 'unknown messages and extra words are refused' unknown

answers()
{
	local created marked reverted t0 t1

	pool_open
	t0=$(now)
	created=$(message create_volume a $size)
	matches 'create_volume' "$created" '^[0-9]+$'
	marked=$(message mark m a)
	matches 'mark' "$marked" '^[0-9]+$'
	reverted=$(message revert a @m)
	matches 'revert' "$reverted" "^[0-9]+ $marked\$"
	t1=$(now)
	((t0 < created && created < marked && marked < ${reverted% *} && ${reverted% *} < t1))
	matches 'list_volumes' "$(message list_volumes)" "^[0-9]+ a $size $created 2\$"
	same 'list_marks' "$(message list_marks)" "$marked m a"
	same 'list_marks after it' "$(message list_marks "$marked")" ''
	same 'list_marks before it' "$(message list_marks $((marked - 1)))" "$marked m a"
	matches 'list_branches' "$(message list_branches a | tr '\n' ';')" \
		"^0 [0-9]+ ${reverted% *} -;1 ${reverted% *} - $marked;?\$"
	matches 'resolve of a mark' "$(message resolve a @m)" "^$marked 0\$"
	matches 'resolve of now' "$(message resolve a "$t1")" "^$t1 1\$"
}
it 'messages answer with times that only grow' answers

clock()
{
	local t last=0 i

	pool_open
	volume_new a $size
	for i in {1..20}; do
		put "a" "$i" 4
		t=$(now)
		((t > last))
		last=$t
	done
	date -s @$(($(date +%s) - 3600)) >/dev/null
	for i in {1..5}; do
		put "a" "$i" 4
		t=$(now)
		((t > last))
		last=$t
	done
	remove a pool
	pool_open
	t=$(now)
	((t > last)) || fail "after a reopen $t, before $last"
	date -s @$(($(date +%s) + 3600)) >/dev/null
}
it 'time never goes back, whatever the clock does' clock

revert_self()
{
	local was t

	pool_open
	volume_new a $size
	put "a" 1 512
	was=$(sum "a")
	ask message pool revert a "$(now)"
	same 'the content' "$(sum "a")" "$was"
	t=$(message revert a "$(now)" | cut -d' ' -f1)
	ask message pool revert a "$t"
	same 'the content, again' "$(sum "a")" "$was"
	matches 'branches' "$(status a)" "^[0-9]+ $size 4 "
}
it 'a revert to the present is a revert that changes nothing' revert_self

one_instant()
{
	local i x y seen=0 last=-1

	pool_with_two
	# The same seed to a, then to b: an instant may show b behind a by one.
	stomp a,b 0 4 4
	# Marks that all show the same would prove nothing.
	for ((i = 1; i <= 15 || seen < 8; i++)); do
		((i <= 2000)) || fail "after $i marks only $seen different instants"
		message mark m$i a b > /dev/null
		view_open va a $size @m$i
		view_open vb b $size @m$i
		x=$(seed_of va) y=$(seed_of vb)
		((x == y || x == y + 1)) || fail "mark $i shows $x in a and $y in b"
		((x == last)) || seen=$((seen + 1))
		last=$x
		remove va vb
	done
	calm
	note "$i marks show $seen states of ${counts[0]}"
}

# Of the put at the device's start, from its first word (see pattern() in cdp_helper.c); -1: none
seed_of()
{
	local seed

	path_of "$1"
	ask le64 "$answer" 0
	seed=$((answer * 0xf1de83e19937733d - 1))
	if ((seed == -1)); then
		zeroes "$1" 4
	else
		holds "$1" $seed 4
	fi
	echo $seed
}
it 'a mark over two volumes is one instant' one_instant

kept()
{
	local before

	pool_with_two
	ask message pool mark m1 '*'
	ask message pool mark m2 b
	ask message pool revert a @m1
	ask message pool revert a "$(now)"
	ask message pool unmark m2
	ask message pool create_volume c 64
	message delete_volume c
	before=$(lists)
	remove a b pool
	pool_open
	same 'the lists after a reopen' "$(lists)" "$before"
	message checkpoint
	same 'the lists after a checkpoint' "$(lists)" "$before"
	# Names that were given back can be used again.
	ask message pool create_volume c 128
	ask message pool mark m2 c
}
it 'lists are the same after a reopen' kept

long_lists()
{
	local i part lines words

	pool_open
	ask message pool create_volume a 8
	for ((i = 0; i < 1200; i++)); do
		ask message pool mark an-event-with-a-rather-long-name-number-$i a
	done
	part=$(message list_marks)
	mapfile -t lines <<< "$part"
	same 'marks listed at once' ${#lines[@]} 1200
	part=$(message list_marks "${lines[1099]%% *}")
	mapfile -t lines <<< "$part"
	same 'marks listed after the 1100th' ${#lines[@]} 100
	remove pool
	pool_open
	read -ra words <<< "$(status pool)"
	same 'marks after a reopen' "${words[7]}" 1200
}
it 'long lists can be had whole and in parts' long_lists

run_tests
