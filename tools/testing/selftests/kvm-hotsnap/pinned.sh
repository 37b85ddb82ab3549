#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pages that devices write. The device here is a RAM disk whose reads take a second.

. "$(dirname "$0")/lib.sh"

slow_device()
{
	modprobe -q brd rd_nr=1 rd_size=1024 max_part=0 && modprobe -q dm-delay || return
	dmsetup create hotsnaptest-slow --table '0 2048 delay /dev/ram0 0 1000' || return
	device=/dev/$(dmsetup info -c --noheadings -o blkdevname hotsnaptest-slow)
}

load_module
device=
slow_device || note "no slow device"
path=$(program hotsnap_pinned)
"$path" ${device:+"$device"} 2>&1
status=$?
[[ ! $device ]] || dmsetup remove --retry hotsnaptest-slow
modprobe -q -r brd
exit $status
