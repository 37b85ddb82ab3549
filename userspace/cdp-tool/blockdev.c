// SPDX-License-Identifier: GPL-2.0-only
#include "blockdev.h"

#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-cdp.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "holders.h"
#include "super.h"
#include "tool.h"

/* Who only reads the device does not matter once it cannot be claimed by others. */
static int open_device(struct blockdev *d, bool writable)
{
	int flags = (writable ? O_RDWR : O_RDONLY) | O_EXCL | O_CLOEXEC;
	int error, tries = 0, read_only = 0;

	do {
		d->fd = open(d->path, flags);
		error = d->fd < 0 ? errno : 0;
	} while (error == EBUSY && holders_wait(d->major, d->minor, NULL, &tries));
	if (error == EBUSY || (!error && holders_stay(d->major, d->minor, NULL)))
		return fail_held(d->major, d->minor, NULL, "%s is in use", d->path);
	/* Some kernels find out with the first write only. */
	if (writable && (error == EROFS || (!error && !ioctl(d->fd, BLKROGET, &read_only) &&
					    read_only)))
		return fail(EXIT_FAILED, "%s is read-only; 'blockdev --setrw %s' may help", d->path,
			    d->path);
	if (error)
		return fail_errno(-error, "%s", d->path);
	/* Who has it open keeps the page cache of what it held before the module wrote to it. */
	ioctl(d->fd, BLKFLSBUF);
	return 0;
}

static int find_device(struct blockdev *d, const char *path)
{
	struct stat st;

	d->path = path;
	d->fd = -1;
	if (stat(path, &st))
		return fail_errno(-errno, "%s", path);
	if (!S_ISBLK(st.st_mode))
		return fail(EXIT_FAILED,
			    "%s is not a block device; 'losetup -f --show %s' makes one of a file",
			    path, path);
	d->major = major(st.st_rdev);
	d->minor = minor(st.st_rdev);
	return 0;
}

static int claim(struct blockdev *d, bool writable)
{
	__u64 bytes;
	int r;

	r = open_device(d, writable);
	if (!r && ioctl(d->fd, BLKGETSIZE64, &bytes))
		r = fail_errno(-errno, "size of %s", d->path);
	if (r)
		blockdev_close(d);
	else
		d->bytes = bytes;
	return r;
}

int blockdev_claim(struct blockdev *d, const char *path, bool writable)
{
	int r = find_device(d, path);

	return r ? r : claim(d, writable);
}

int blockdev_claim_other(struct blockdev *d, const char *path, bool writable,
			 const struct blockdev *first)
{
	int r = find_device(d, path);

	if (!r && d->major == first->major && d->minor == first->minor)
		r = fail(EXIT_USAGE, "%s and %s are one device; metadata and data need one each",
			 first->path, path);
	return r ? r : claim(d, writable);
}

void blockdev_close(struct blockdev *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* Of libblkid's functions: 0 is success. */
enum { NOTHING = 1, SEVERAL = -2 };

static blkid_probe new_probe(const struct blockdev *d)
{
	blkid_probe probe = blkid_new_probe();

	if (!probe)
		return NULL;
	if (blkid_probe_set_device(probe, d->fd, 0, 0)) {
		blkid_free_probe(probe);
		return NULL;
	}
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC);
	return probe;
}

/* What libblkid sees: "ext4", "gpt", ...; empty if nothing. */
static int probe_type(const struct blockdev *d, char *type, size_t size)
{
	blkid_probe probe = new_probe(d);
	const char *value = NULL;
	int r;

	type[0] = '\0';
	if (!probe)
		return fail(EXIT_FAILED, "%s: cannot look at what it holds", d->path);
	r = blkid_do_safeprobe(probe);
	if (!r && blkid_probe_lookup_value(probe, "TYPE", &value, NULL))
		blkid_probe_lookup_value(probe, "PTTYPE", &value, NULL);
	if (r == SEVERAL)
		value = "several signatures";
	else if (!r && !value)
		value = "something";
	if (value)
		strncat(type, value, size - 1);
	blkid_free_probe(probe);
	return r == -1 ? fail(EXIT_FAILED, "%s: cannot be read", d->path) : 0;
}

static bool all_zero(const char *block, size_t len)
{
	return !block[0] && !memcmp(block, block + 1, len - 1);
}

static int refuse_content(const struct blockdev *d, const char *what)
{
	return fail(EXIT_EXISTS, "%s holds %s; --force overwrites it", d->path, what);
}

int blockdev_check_empty(const struct blockdev *d)
{
	char type[64], block[CDP_UNIT_SIZE] __attribute__((aligned(8)));
	struct cdp_super super;
	struct cdp_label label;
	int r;

	if (pread(d->fd, block, sizeof(block), 0) != sizeof(block))
		return fail(EXIT_FAILED, "%s: its first 4 KiB cannot be read", d->path);
	if (!cdp_super_unpack(&super, block))
		return refuse_content(d, "the metadata of a cdp pool ('pool open' opens it)");
	if (!cdp_label_unpack(&label, block))
		return refuse_content(d, "the data of a cdp pool ('pool open' opens it)");
	r = probe_type(d, type, sizeof(type));
	if (r)
		return r;
	if (*type)
		return refuse_content(d, type);
	if (!all_zero(block, sizeof(block)))
		return refuse_content(d, "something in its first 4 KiB");
	return 0;
}

int blockdev_wipe(const struct blockdev *d)
{
	static const char zeroes[CDP_UNIT_SIZE];
	blkid_probe probe = new_probe(d);
	int found;

	if (!probe)
		return fail(EXIT_FAILED, "%s: cannot look at what it holds", d->path);
	do {
		found = blkid_do_probe(probe);
	} while (!found && !blkid_do_wipe(probe, 0));
	blkid_free_probe(probe);
	if (found != NOTHING)
		return fail(EXIT_FAILED, "%s: what it holds cannot be wiped; 'dmesg' tells more",
			    d->path);
	if (pwrite(d->fd, zeroes, sizeof(zeroes), 0) != sizeof(zeroes) || fsync(d->fd))
		return fail_errno(errno ? -errno : -EIO, "%s: cannot be written", d->path);
	return 0;
}
