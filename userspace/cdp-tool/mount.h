/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mounting a view: read-only, beside the live file system of the same uuid.
 */
#ifndef CDP_TOOL_MOUNT_H
#define CDP_TOOL_MOUNT_H

#include <linux/types.h>

/*
 * Exit codes; they tell what is wrong.  replay: the file system may write to the device until
 * its journal is replayed; otherwise it shall leave the journal alone.
 */
int mount_view(const char *device, const char *directory, bool replay);
int unmount_view(const char *directory);

/* The device that the directory is on: 0, or -errno. */
int mount_find(const char *directory, u32 *major, u32 *minor);

#endif
