#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# debug-kernel.sh [6.1|6.12]: build the kernel that vm/run calls "debug", from
# the distribution's source and debug.config, in $VMTT_CACHE/debug-<version>/.
# Takes minutes once, nothing while debug.config stays as it is.

set -euo pipefail

series=${1:-6.1}
cache=${VMTT_CACHE:-/var/cache/vmtt}
dir=$cache/debug-$series
here=$(dirname "$(readlink -f "$0")")
build=$dir/build

"$here/../setup.sh"
if cmp -s "$here/debug.config" "$dir/debug.config"; then
	ln -sfn "debug-$series" "$cache/debug"
	exit
fi

# The fragment's lines that did not make it into .config
lost_options()
{
	grep '^CONFIG_' "$here/debug.config" | grep -vxFf "$build/.config" || true
}

rm -rf "$dir"
mkdir -p "$build"
tar -C "$build" --strip-components=1 -xf "/usr/src/linux-source-$series.tar.xz"
cd "$build"
export KBUILD_BUILD_TIMESTAMP=0 KBUILD_BUILD_USER=vmtt KBUILD_BUILD_HOST=vmtt
KCONFIG_ALLCONFIG=$here/debug.config make -s LOCALVERSION=-debug allnoconfig
lost=$(lost_options)
[[ ! $lost ]] || echo "debug-kernel: Linux $series does not take: ${lost//$'\n'/ }" >&2

make=(nice -n 10 make -s "-j$(nproc)" LOCALVERSION=-debug)
"${make[@]}" bzImage modules
kver=$(make -s LOCALVERSION=-debug kernelrelease)
"${make[@]}" INSTALL_MOD_PATH="$dir" modules_install
install -D -m 644 arch/x86/boot/bzImage "$dir/boot/vmlinuz-$kver"
install -m 644 .config "$dir/boot/config-$kver"
# Booted as a bare vmlinux it resets without a word, perhaps as the PVH entry runs before KASAN is up.
ln -s "boot/vmlinuz-$kver" "$dir/kernel"
mkdir "$dir/persistent-data"
cp drivers/md/persistent-data/*.h "$dir/persistent-data/"

# Modules are built against this tree: only its objects may go.
find . -path ./scripts -prune -o -path ./tools -prune -o \
	\( -name '*.o' -o -name '*.a' -o -name '*.ko' -o -name '.*.cmd' \) -type f -print0 | xargs -0 rm -f
rm -f vmlinux vmlinux.unstripped .tmp_vmlinux*
cp "$here/debug.config" "$dir/debug.config"
ln -sfn "debug-$series" "$cache/debug"
