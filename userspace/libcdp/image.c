// SPDX-License-Identifier: GPL-2.0-only
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-cdp.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_UNITS = 256 };

static int open_any(const char *path, const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return open(path, O_RDONLY | O_EXCL | O_DIRECT | O_CLOEXEC);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int get_size(struct cdp_image *image, const struct stat *st)
{
	__u64 bytes = st->st_size;

	if (S_ISBLK(st->st_mode) && ioctl(image->fd, BLKGETSIZE64, &bytes))
		return -errno;
	image->bytes = bytes;
	image->nr_units = bytes / CDP_UNIT_SIZE;
	return 0;
}

int cdp_image_open(struct cdp_image *image, const char *path)
{
	struct stat st;
	int r;

	memset(image, 0, sizeof(*image));
	image->fd = -1;
	if (stat(path, &st))
		return -errno;
	if (S_ISCHR(st.st_mode))
		return 0;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))	/* a FIFO would wait for a writer */
		return -ENOTBLK;
	if (posix_memalign(&image->bounce, CDP_UNIT_SIZE, MAX_UNITS * CDP_UNIT_SIZE))
		return -ENOMEM;
	image->fd = open_any(path, &st);
	r = image->fd < 0 ? -errno : get_size(image, &st);
	if (r)
		cdp_image_close(image);
	return r;
}

void cdp_image_close(struct cdp_image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	free(image->bounce);
	image->fd = -1;
	image->bounce = NULL;
}

int cdp_image_read(const struct cdp_image *image, u64 unit, unsigned int nr, void *buf)
{
	size_t done = 0, bytes = (size_t)nr * CDP_UNIT_SIZE;
	ssize_t n;

	if (nr > MAX_UNITS)
		return -EINVAL;
	if (unit >= image->nr_units || nr > image->nr_units - unit)
		return -ENXIO;
	while (done < bytes) {
		n = pread(image->fd, (char *)image->bounce + done, bytes - done,
			  unit * CDP_UNIT_SIZE + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += n;
	}
	memcpy(buf, image->bounce, bytes);
	return 0;
}
