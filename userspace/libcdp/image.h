/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device or an image of one, read in units of 4 KiB, past the page cache where
 * there is one: the kernel module writes beside it.
 */
#ifndef LIBCDP_IMAGE_H
#define LIBCDP_IMAGE_H

#include <linux/types.h>

struct cdp_image {
	int fd;
	u64 bytes;
	u64 nr_units;		/* whole ones */
	void *bounce;
};

/*
 * Of a block device or a file; a character device is an empty one (/dev/null).  -EBUSY: a device
 * that is in use, for instance by an open pool; -ENOTBLK: nothing of these; else -errno.
 */
int cdp_image_open(struct cdp_image *image, const char *path);
void cdp_image_close(struct cdp_image *image);

/* nr units, at most 256.  -ENXIO: beyond the end; -EIO, ... */
int cdp_image_read(const struct cdp_image *image, u64 unit, unsigned int nr, void *buf);

#endif
