/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the verbs do with pools that are open.  Functions that return an exit code have told
 * what is wrong.
 */
#ifndef CDP_TOOL_ONLINE_H
#define CDP_TOOL_ONLINE_H

#include "control.h"
#include "instant.h"
#include "pool.h"
#include "tool.h"

struct pool_args {
	/* As typed; NULL: not given */
	const char *metadata;
	const char *data;
	const char *checkpoint_extents;
	const char *checkpoint_ms;

	u32 block_sectors;
	u64 journal_blocks;		/* 0: the kernel's choice */
	bool fresh;			/* the devices are blank */
};

/*
 * Words: <pool>, <pool>/<volume>, the name of a mark or another thing (what: "a mark").  Exit
 * codes, after telling the rule.
 */
int parse_pool(struct cdp_path *path, const char *text);
int parse_volume(struct cdp_path *path, const char *text);
int parse_name(char name[CDP_NAME_SIZE], const char *what, const char *text);

/* Refuses what the kernel would: devices that are not named, numbers out of range.  Exit codes. */
int pool_args_check(const struct pool_args *args);

/* Refuses if the kernel has no such target. */
int target_check(const char *target);

/* Makes the pool's device out of two block devices that nobody holds. */
int pool_activate(const char *pool, const struct pool_args *args, u32 metadata_major,
		  u32 metadata_minor, u32 data_major, u32 data_minor);

/* The pool's device; cdp_device_exit() it. */
int pool_find(struct cdp_device *pool, const char *name);

/*
 * Devices of live volumes (CDP_TARGET_VOLUME) or of views (CDP_TARGET_VIEW) of the pool, whoever
 * made them: by what their tables say.
 */
int pool_devices(const struct cdp_device *pool, const char *target,
		 struct cdp_device **list, unsigned int *nr);

/* One volume by name. */
int volume_find(struct cdp_volume_line *volume, const struct cdp_path *path);

/* Its device, or an empty name if it has none. */
int volume_device(struct cdp_device *device, const struct cdp_device *pool,
		  const struct cdp_path *path);

/* Makes /dev/mapper/<pool>-<volume>. */
int volume_activate(const struct cdp_device *pool, const struct cdp_path *path, u64 sectors);

/* Makes /dev/mapper/<name>, read-only: the volume at the instant. */
int view_activate(const char *name, const struct cdp_device *pool, const struct cdp_path *path,
		  u64 sectors, u64 instant);

/*
 * An instant as the kernel wants it: microseconds, or @<mark>.  now: the pool's.
 */
int instant_argument(char text[CDP_NAME_SIZE + 1], const char *pool, const char *word);

/* Its time on the volume. */
int instant_resolve(u64 *instant, u64 *branch, const struct cdp_path *path, const char *word);

/* The same without a volume, as of now: a mark's time is looked up in the pool. */
int instant_of_pool(u64 *instant, const char *pool, const char *word, u64 now);

#endif
