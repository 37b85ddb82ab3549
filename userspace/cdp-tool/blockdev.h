/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two block devices of a pool, before the kernel gets them.
 *
 * All of these tell what is wrong and return an exit code.
 */
#ifndef CDP_TOOL_BLOCKDEV_H
#define CDP_TOOL_BLOCKDEV_H

#include <linux/types.h>

struct blockdev {
	const char *path;
	int fd;
	u32 major, minor;
	u64 bytes;
};

/* Opens it so that nobody else can; refused, with who holds it, if somebody does. */
int blockdev_claim(struct blockdev *device, const char *path, bool writable);

/* The same; refused if it is the first one by another name. */
int blockdev_claim_other(struct blockdev *device, const char *path, bool writable,
			 const struct blockdev *first);
void blockdev_close(struct blockdev *device);

/* Refuses a device that holds something: a file system, partitions, a pool. */
int blockdev_check_empty(const struct blockdev *device);

/* Wipes what blockdev_check_empty() would find, and the first 4 KiB; refused if any of it stays. */
int blockdev_wipe(const struct blockdev *device);

#endif
