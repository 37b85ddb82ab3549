/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is mounted where, as far as this process sees it.
 */
#ifndef CDP_TOOL_MOUNTINFO_H
#define CDP_TOOL_MOUNTINFO_H

#include <linux/types.h>

struct mountpoint {
	u32 major, minor;	/* of the file system, which may have a number of its own: btrfs */
	char *directory;
	char *type;
	char *source;
};

/* Calls visit() for each mount, the later ones above the earlier; true ends it. */
void mountinfo_visit(bool (*visit)(void *context, const struct mountpoint *m), void *context);

/* Is it a file system on that block device? */
bool mountpoint_on(const struct mountpoint *m, u32 major, u32 minor);

#endif
