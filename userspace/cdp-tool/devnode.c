// SPDX-License-Identifier: GPL-2.0-only
#include "devnode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { PATH_SIZE = CDP_DM_NAME_SIZE + 32 };

bool devnode_is(const char *path, u32 major, u32 minor)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == makedev(major, minor);
}

/* The name may be spelt otherwise in /dev/mapper, and not every system has the other two. */
static bool find_node(char path[PATH_SIZE], const struct cdp_device *device)
{
	snprintf(path, PATH_SIZE, "/dev/mapper/%s", device->name);
	if (devnode_is(path, device->major, device->minor))
		return true;
	snprintf(path, PATH_SIZE, "/dev/block/%u:%u", device->major, device->minor);
	if (devnode_is(path, device->major, device->minor))
		return true;
	snprintf(path, PATH_SIZE, "/dev/dm-%u", device->minor);
	return devnode_is(path, device->major, device->minor);
}

int devnode_open(const struct cdp_device *device, int flags)
{
	char path[PATH_SIZE];
	int fd;

	if (!find_node(path, device))
		return -ENOENT;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
