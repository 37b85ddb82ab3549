// SPDX-License-Identifier: GPL-2.0-only
#include "mount.h"

#include <blkid.h>
#include <errno.h>
#include <limits.h>
#include <linux/array_size.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "mountinfo.h"
#include "tool.h"

static const struct filesystem {
	const char *type;
	const char *always;		/* beside the live one with the same uuid */
	const char *no_replay;		/* "do not touch the device" in its own words */
	bool refused;			/* it takes two devices of one uuid for the same */
} filesystems[] = {
	{ .type = "ext3", .no_replay = "noload" },
	{ .type = "ext4", .no_replay = "noload" },
	{ .type = "xfs", .always = "nouuid", .no_replay = "nouuid,norecovery" },
	{ .type = "btrfs", .refused = true },
};

static const struct filesystem *find_filesystem(const char *type)
{
	static const struct filesystem other;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(filesystems); i++)
		if (!strcmp(type, filesystems[i].type))
			return &filesystems[i];
	return &other;
}

/* What the device holds; both are to be freed, and NULL if it is not known. */
static void find_content(const char *device, char **type, char **usage)
{
	blkid_probe probe = blkid_new_probe_from_filename(device);
	const char *value;

	*type = NULL;
	*usage = NULL;
	if (!probe)
		return;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
	if (!blkid_do_safeprobe(probe)) {
		if (!blkid_probe_lookup_value(probe, "TYPE", &value, NULL))
			*type = strdup(value);
		if (!blkid_probe_lookup_value(probe, "USAGE", &value, NULL))
			*usage = strdup(value);
	}
	blkid_free_probe(probe);
}

static int fail_mount(int error, const char *device, const char *directory, const char *type)
{
	if (error == ENODEV)
		return fail(EXIT_FAILED,
			    "%s holds %s, which this kernel does not know; 'modprobe %s' may help",
			    device, type, type);
	return fail(error == EPERM ? EXIT_NOT_PERMITTED : EXIT_FAILED,
		    "mount %s (%s) at %s: %s; 'dmesg' tells more", device, type, directory,
		    strerror(error));
}

static int mount_type(const char *device, const char *directory, const char *type, bool replay)
{
	const struct filesystem *fs = find_filesystem(type);

	if (fs->refused)
		return fail(EXIT_FAILED,
			    "%s holds %s, which mixes up a view with the live volume; leave out --mount, and look at a copy of the device on another machine",
			    device, type);
	if (mount(device, directory, type, MS_RDONLY, replay ? fs->always : fs->no_replay))
		return fail_mount(errno, device, directory, type);
	return 0;
}

int mount_view(const char *device, const char *directory, bool replay)
{
	char *type, *usage;
	int r;

	find_content(device, &type, &usage);
	if (type && usage && !strcmp(usage, "filesystem"))
		r = mount_type(device, directory, type, replay);
	else
		r = fail(EXIT_FAILED,
			 "%s holds no file system at that instant, but %s; leave out --mount and look at the device",
			 device, type ? type : "nothing that is known");
	free(type);
	free(usage);
	return r;
}

int unmount_view(const char *directory)
{
	if (!umount(directory))
		return 0;
	if (errno == EBUSY)
		return fail(EXIT_BUSY,
			    "%s is in use: a process has a file open there, or works there; 'fuser -vm %s' tells which",
			    directory, directory);
	return fail_errno(-errno, "unmount %s", directory);
}

/*
 * The device that is mounted at a directory
 */
struct search {
	char path[PATH_MAX];
	u32 major, minor;
	bool found;
};

/* The last one is on top. */
static bool visit_mount(void *context, const struct mountpoint *m)
{
	struct search *s = context;
	struct stat st;

	if (strcmp(m->directory, s->path))
		return false;
	s->found = true;
	s->major = m->major;
	s->minor = m->minor;
	/* The file system may have a number of its own. */
	if (*m->source == '/' && !stat(m->source, &st) && S_ISBLK(st.st_mode)) {
		s->major = major(st.st_rdev);
		s->minor = minor(st.st_rdev);
	}
	return false;
}

int mount_find(const char *directory, char path[PATH_MAX], u32 *major, u32 *minor)
{
	struct search s = { .found = false };

	if (!realpath(directory, s.path))
		return -errno;
	mountinfo_visit(visit_mount, &s);
	if (!s.found)
		return -EINVAL;
	memcpy(path, s.path, PATH_MAX);
	*major = s.major;
	*minor = s.minor;
	return 0;
}
