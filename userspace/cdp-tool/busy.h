/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices of device-mapper that must not be in use.
 */
#ifndef CDP_TOOL_BUSY_H
#define CDP_TOOL_BUSY_H

#include "control.h"
#include "holders.h"

/* Is the device open, but for known (or NULL)?  Waits for those who will be gone in a moment. */
bool device_busy(const struct cdp_device *device, const struct holders_known *known);

/* Refuses, naming who it is, if it is busy; an exit code. */
int refuse_open(const struct cdp_device *device, const char *what,
		const struct holders_known *known);

/*
 * Opens the device so that it cannot be mounted or claimed otherwise until it is released, and
 * writes out what is in the page cache of it.  Refused if it is busy: an exit code, and then *fd
 * is not open.
 */
int device_hold(int *fd, const struct cdp_device *device, const char *what);

/* Forgets the page cache of the device first, as it may be of before.  *fd < 0: does nothing. */
void device_release(int *fd);

#endif
