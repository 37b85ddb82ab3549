/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who keeps a block device busy: mounts, swap, devices stacked on it, loop devices, processes
 * that have it open.
 *
 * Some hold it for milliseconds only: udev opens a device to read it whenever somebody who
 * could have written to it has closed it, after an unmount for instance.  So processes that only
 * read are waited for; all others stay.
 */
#ifndef CDP_TOOL_HOLDERS_H
#define CDP_TOOL_HOLDERS_H

#include <json-c/json.h>
#include <linux/types.h>

#define HOLDERS_UNKNOWN "by whom is not known"

/* Holders that the caller knows of, and does not mean. */
struct holders_known {
	unsigned int opens;		/* so many */
	const char *directory;		/* the one mounted there, or NULL */
	bool stacked;			/* device-mapper devices on it */
};

/* An array of texts such as "mounted at /mnt"; empty when nobody is found.  known: or NULL. */
struct json_object *holders_find(u32 major, u32 minor, const struct holders_known *known);

/* Is anybody found who will not be gone in a moment? */
bool holders_stay(u32 major, u32 minor, const struct holders_known *known);

/* Waits a moment; false, at once, if that is no use: somebody stays, or *tries were enough. */
bool holders_wait(u32 major, u32 minor, const struct holders_known *known, int *tries);

/* The texts with commas between; to be freed. */
char *holders_text(struct json_object *holders);

/* Prints "<format>: <who holds it>"; EXIT_BUSY. */
int fail_held(u32 major, u32 minor, const struct holders_known *known, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
