// SPDX-License-Identifier: GPL-2.0-only
#include "mount.h"

#include <blkid.h>
#include <errno.h>
#include <linux/array_size.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tool.h"

static const struct filesystem {
	const char *type;
	const char *always;		/* beside the live one with the same uuid */
	const char *no_replay;		/* "do not touch the device" in its own words */
} filesystems[] = {
	{ "ext3", NULL, "noload" },
	{ "ext4", NULL, "noload" },
	{ "xfs", "nouuid", "nouuid,norecovery" },
	{ "btrfs", NULL, "rescue=nologreplay" },
};

static const char *mount_options(const char *type, bool replay)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(filesystems); i++)
		if (!strcmp(type, filesystems[i].type))
			return replay ? filesystems[i].always : filesystems[i].no_replay;
	return NULL;
}

/* To be freed; NULL if there is no file system. */
static char *find_type(const char *device)
{
	blkid_probe probe = blkid_new_probe_from_filename(device);
	const char *value;
	char *type = NULL;

	if (!probe)
		return NULL;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
	if (!blkid_do_safeprobe(probe) && !blkid_probe_lookup_value(probe, "TYPE", &value, NULL))
		type = strdup(value);
	blkid_free_probe(probe);
	return type;
}

int mount_view(const char *device, const char *directory, bool replay)
{
	char *type = find_type(device);
	int r = 0;

	if (!type)
		return fail(EXIT_FAILED,
			    "%s holds no file system at that instant; leave out --mount and look at the device",
			    device);
	if (mount(device, directory, type, MS_RDONLY, mount_options(type, replay)))
		r = fail_errno(-errno, "mount %s (%s) at %s", device, type, directory);
	free(type);
	return r;
}

int unmount_view(const char *directory)
{
	if (!umount(directory))
		return 0;
	return fail_errno(-errno, "unmount %s", directory);
}

int mount_find(const char *directory, u32 *major, u32 *minor)
{
	struct stat st;

	if (stat(directory, &st))
		return -errno;
	*major = major(st.st_dev);
	*minor = minor(st.st_dev);
	return 0;
}
