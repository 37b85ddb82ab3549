/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mounting a view: read-only, beside the live file system of the same uuid.
 */
#ifndef CDP_TOOL_MOUNT_H
#define CDP_TOOL_MOUNT_H

#include <limits.h>
#include <linux/types.h>

/*
 * Exit codes; they tell what is wrong.  replay: the file system may write to the device until
 * its journal is replayed; otherwise it shall leave the journal alone.
 */
int mount_view(const char *device, const char *directory, bool replay);
int unmount_view(const char *directory);

/*
 * The device that is mounted at the directory, whose path without links comes back too.  0;
 * -EINVAL: nothing is mounted there; or -errno.
 */
int mount_find(const char *directory, char path[PATH_MAX], u32 *major, u32 *minor);

#endif
