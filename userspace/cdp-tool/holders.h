/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who keeps a block device busy: mounts, swap, devices stacked on it, processes that
 * have it open.
 */
#ifndef CDP_TOOL_HOLDERS_H
#define CDP_TOOL_HOLDERS_H

#include <json-c/json.h>
#include <linux/types.h>

/* An array of texts such as "mounted at /mnt"; empty when nobody is found. */
struct json_object *holders_find(u32 major, u32 minor);

/* The texts with commas between; to be freed. */
char *holders_text(json_object *holders);

#endif
