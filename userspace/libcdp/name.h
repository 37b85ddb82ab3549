/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names: <pool>/<volume>, and the device-mapper names and uuids made of them.
 *
 *   pool     <pool>                          CDP-POOL-<pool>
 *   volume   <pool>-<volume>                 CDP-VOLUME-<pool>-<volume>
 *   view     <pool>-<volume>@<instant>       CDP-VIEW-<pool>-<volume>@<instant>
 *   overlay  <view>-rw                       CDP-OVERLAY-<view>
 *
 * Which pool a volume belongs to is told by its table, not by its name: a name may
 * hold dashes.
 */
#ifndef LIBCDP_NAME_H
#define LIBCDP_NAME_H

#include <linux/types.h>
#include <linux/dm-cdp.h>

#define CDP_UUID_POOL	"CDP-POOL-"
#define CDP_UUID_VOLUME	"CDP-VOLUME-"
#define CDP_UUID_VIEW	"CDP-VIEW-"
#define CDP_UUID_OVERLAY "CDP-OVERLAY-"

/* Types of targets: what a device is, whatever its name and uuid. */
#define CDP_TARGET_POOL		"cdp-pool"
#define CDP_TARGET_VOLUME	"cdp"
#define CDP_TARGET_VIEW		"cdp-view"

enum {
	CDP_POOL_NAME_MAX = 48,		/* so that uuids of volumes fit */
	CDP_VIEW_NAME_MAX = 115,	/* so that name and uuid of its overlay fit */
	CDP_DM_NAME_SIZE = 128,		/* the kernel's DM_NAME_LEN */
	CDP_DM_UUID_SIZE = 129,		/* and DM_UUID_LEN */
};

struct cdp_path {
	char pool[CDP_NAME_SIZE];
	char volume[CDP_NAME_SIZE];	/* empty: the pool itself */
};

/* Copies a name of the grammar of linux/dm-cdp.h.  0 or -EINVAL. */
int cdp_name_copy(char name[CDP_NAME_SIZE], const char *text);

/* <pool>.  0 or -EINVAL. */
int cdp_path_parse_pool(struct cdp_path *path, const char *text);

/* <pool>/<volume>.  0 or -EINVAL. */
int cdp_path_parse_volume(struct cdp_path *path, const char *text);

/* <pool> or <pool>/<volume>.  0 or -EINVAL. */
int cdp_path_parse(struct cdp_path *path, const char *text);

void cdp_path_device(char name[CDP_DM_NAME_SIZE], const struct cdp_path *path);

/* Is that the name for a view that somebody chose?  0 or -EINVAL. */
int cdp_view_name_check(const char *name);

/* -ENAMETOOLONG */
int cdp_path_view(char name[CDP_DM_NAME_SIZE], const struct cdp_path *path, const char *instant);

/* <prefix><name>; -ENAMETOOLONG. */
int cdp_uuid_make(char uuid[CDP_DM_UUID_SIZE], const char *prefix, const char *name);

#endif
