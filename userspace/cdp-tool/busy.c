// SPDX-License-Identifier: GPL-2.0-only
#include "busy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devnode.h"
#include "tool.h"

static const struct holders_known nobody;

/* How often the device is open now; a device that has gone is not. */
static u32 count_opens(const struct cdp_device *device)
{
	struct cdp_device now;
	u32 opens;

	if (cdp_device_table(&now, device->name))
		return 0;
	opens = now.open_count;
	cdp_device_exit(&now);
	return opens;
}

bool device_busy(const struct cdp_device *device, const struct holders_known *known)
{
	u32 opens = count_opens(device);
	int tries = 0;

	if (!known)
		known = &nobody;
	while (opens > known->opens &&
	       holders_wait(device->major, device->minor, known, &tries))
		opens = count_opens(device);
	if (opens > known->opens)
		return true;
	/* Of one that is known there may be more: a file system has one device, but many mounts. */
	return opens && holders_stay(device->major, device->minor, known);
}

static int fail_busy(const struct cdp_device *device, const char *what,
		     const struct holders_known *known)
{
	return fail_held(device->major, device->minor, known, "%s is in use (/dev/mapper/%s)",
			 what, device->name);
}

int refuse_open(const struct cdp_device *device, const char *what,
		const struct holders_known *known)
{
	return device_busy(device, known) ? fail_busy(device, what, known) : 0;
}

int device_hold(int *fd, const struct cdp_device *device, const char *what)
{
	const struct holders_known myself = { .opens = 1 };
	int r, tries = 0;

	do {
		*fd = devnode_open(device, O_RDONLY | O_EXCL);
	} while (*fd == -EBUSY && holders_wait(device->major, device->minor, NULL, &tries));
	if (*fd == -EBUSY)
		r = fail_busy(device, what, NULL);
	else if (*fd < 0)
		r = fail(EXIT_FAILED, "%s: /dev/mapper/%s cannot be opened (%s)", what,
			 device->name, strerror(-*fd));
	else
		r = refuse_open(device, what, &myself);
	if (r)
		device_release(fd);
	else
		ioctl(*fd, BLKFLSBUF);	/* somebody may have closed it since: what he wrote */
	return r;
}

void device_release(int *fd)
{
	if (*fd < 0)
		return;
	ioctl(*fd, BLKFLSBUF);
	close(*fd);
	*fd = -1;
}
