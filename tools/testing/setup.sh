#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Install what building and testing need on Debian 12. Idempotent, and quick
# when nothing is missing.
#
# The kernels under test are never installed: their packages are unpacked in
# $VMTT_CACHE/<release>/ (image, modules, headers and kbuild of one version),
# with $VMTT_CACHE/<series> pointing there:
#
#   boot/vmlinuz-*  lib/modules/*  build -> headers
#   persistent-data/*.h  scripts/checkpatch.pl      from linux-source
#
# Remove $VMTT_CACHE/<series> to move to a newer kernel.

set -euo pipefail

cache=${VMTT_CACHE:-/var/cache/vmtt}
series=(6.1 6.12)

packages=(
	bc bison build-essential flex gcc-12 kmod libelf-dev libssl-dev make pahole perl pkg-config rsync
	sparse xz-utils zstd
	clang libblkid-dev libclang-rt-14-dev libcmocka-dev libdevmapper-dev libjson-c-dev
	busybox-static cpio dmsetup qemu-system-x86 util-linux
	e2fsprogs fio gnuplot-nox jq thin-provisioning-tools xfsprogs
)

die()
{
	echo "setup: $*" >&2
	exit 1
}

missing_packages()
{
	# dpkg-query fails when it has never heard of one of them.
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
		sed -n 's/^installed //p' | sort | comm -13 - <(printf '%s\n' "${packages[@]}" | sort)
}

missing_kernels()
{
	local s

	for s in "${series[@]}"; do
		[[ -e $cache/$s/.complete ]] || echo "$s"
	done
}

apt()
{
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=5 -o DPkg::Lock::Timeout=600 "$@"
}

# The newest image package of a series: linux-image-6.1.0-56-amd64, not its
# cloud, rt, unsigned or dbg flavours.
image_package()
{
	apt-cache --names-only search "^linux-image-${1//./\\.}\.[0-9]+[-+][0-9a-z+.]+-amd64\$" |
		cut -d' ' -f1 | sort -V | tail -n1
}

# On a Debian without a 6.12 kernel, backports come from where the machine
# gets Debian itself.
add_backports()
{
	local suite uri list=/etc/apt/sources.list.d/vmtt-backports.sources

	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Release: $suite" | head -n1)
	[[ $uri ]] || die "no $suite entry in the apt sources; add $suite-backports by hand"
	cat > "$list" <<-END
	Types: deb
	URIs: $uri
	Suites: $suite-backports
	Components: main
	Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	END
	apt update || { rm -f "$list"; die "$suite-backports is not to be had from this machine's Debian mirror"; }
}

fetch_kernel()
{
	local s=$1 image kver version dir deb

	image=$(image_package "$s")
	if [[ ! $image ]]; then
		add_backports
		image=$(image_package "$s")
	fi
	[[ $image ]] || die "apt has no Linux $s package"
	kver=${image#linux-image-}
	version=$(apt-cache policy "$image" | sed -n 's/^ *Candidate: //p')
	dir=$cache/$kver
	echo "setup: Linux $s is $kver ($version)"

	rm -rf "$dir"
	mkdir -p "$dir/deb"
	# _apt, the user apt downloads as, has no way into a private directory.
	(cd "$dir/deb" && apt -o APT::Sandbox::User=root download "$image=$version" "linux-headers-$kver=$version" \
		"linux-headers-${kver%-amd64}-common=$version" "$(kbuild_package "$kver")=$version")
	for deb in "$dir"/deb/*.deb; do
		dpkg-deb -x "$deb" "$dir"
	done
	rm -rf "$dir/deb"

	sed -i "s#/usr/src/#$dir&#" "$dir/usr/src/linux-headers-$kver/Makefile"
	ln -s "usr/src/linux-headers-$kver" "$dir/build"
	[[ -d $dir/lib/modules/$kver ]] || ln -s usr/lib "$dir/lib"
	depmod -b "$dir" "$kver"
	fetch_source "$s" "$version" "$dir"
	"$(dirname "$0")/vm/mkinitramfs" "$dir"
	ln -sfn "$kver" "$cache/$s"
	touch "$dir/.complete"
}

kbuild_package()
{
	apt-cache depends "linux-headers-$1" | sed -n 's/^ *Depends: \(linux-kbuild-.*\)/\1/p' | head -n1
}

# What the modules need of the kernel source and the headers package lacks.
fetch_source()
{
	local s=$1 version=$2 dir=$3 top=linux-source-$1

	apt install -y --no-install-recommends --allow-downgrades "$top=$version" >/dev/null
	tar -C "$dir" --strip-components=1 -xf "/usr/src/$top.tar.xz" --wildcards \
		"$top/drivers/md/persistent-data/*.h" "$top/scripts/checkpatch.pl" \
		"$top/scripts/spelling.txt" "$top/scripts/const_structs.checkpatch"
	mv "$dir/drivers/md/persistent-data" "$dir/persistent-data"
	rm -rf "$dir/drivers"
}

setup()
{
	local s

	[[ $EUID -eq 0 ]] || die "must be root to install: ${pkgs[*]} ${kernels[*]/#/Linux }"
	mkdir -p "$cache"
	exec 8> "$cache/setup.lock"
	flock 8
	apt update || echo "setup: apt-get update failed, going on with what is known" >&2
	if ((${#pkgs[@]})); then
		echo "setup: installing ${pkgs[*]}"
		apt install -y --no-install-recommends "${pkgs[@]}" >/dev/null
	fi
	mapfile -t kernels < <(missing_kernels)
	for s in "${kernels[@]}"; do
		fetch_kernel "$s"
	done
	touch "$cache/vm.lock"
	chmod 666 "$cache/vm.lock"
}

mapfile -t pkgs < <(missing_packages)
mapfile -t kernels < <(missing_kernels)
if ((${#pkgs[@]} + ${#kernels[@]})); then
	setup
fi
