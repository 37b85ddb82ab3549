#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Crash test: crash.sh [through|back|self]. See cdp_crash.c for what it does
# and for its environment.

. "$(dirname "$0")/lib.sh"

case ${1:-back} in
back) export CDP_CRASH_THROUGH=0 ;;
through) export CDP_CRASH_THROUGH=1 ;;
self) export CDP_CRASH_CUTS=12 CDP_CRASH_EPOCHS=4 ;;
esac
export CDP_CRASH_CUTS=${CDP_CRASH_CUTS:-$([[ $LONG ]] && echo 300 || echo 15)}
export CDP_CRASH_EPOCHS=${CDP_CRASH_EPOCHS:-$([[ $LONG ]] && echo 30 || echo 6)}

cd "$(mktemp -d)" || exit
for m in dm-mod dm-log-writes dm-snapshot; do
	modprobe -q $m || skip_all "this kernel has no $m"
done
for m in durable turns; do
	[[ -d /sys/module/cdp_$m ]] || insmod "$TEST_MODULE_DIR/cdp-$m.ko" || exit
done
RAM_KIB=1048576 ram_disks
crash=$(program cdp_crash)
if [[ ${1:-} == self ]]; then
	exec "$crash" --plain $ram0 $ram1 $ram2 $ram3
fi
load_module
tool=$TREE/out/userspace/cdp-tool
[[ -x $tool ]] || { echo "$tool is not built" >&2; exit 1; }
exec "$crash" $ram0 $ram1 $ram2 $ram3 "$tool check"
