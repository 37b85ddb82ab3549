/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nodes of block devices in /dev.
 */
#ifndef CDP_TOOL_DEVNODE_H
#define CDP_TOOL_DEVNODE_H

#include <linux/types.h>

#include "control.h"

/* Is there a node of that device at path? */
bool devnode_is(const char *path, u32 major, u32 minor);

/* Opens the device by whatever node there is of it; its descriptor, or -errno. */
int devnode_open(const struct cdp_device *device, int flags);

#endif
