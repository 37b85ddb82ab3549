/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pool that is open: one function per message of linux/dm-cdp.h.
 *
 * Returns 0 or -errno and prints nothing.  An <instant> is text of that grammar:
 * microseconds, or @<mark>.  Lists are to be freed; that of marks with cdp_pool_free_marks(),
 * as each has its text of volumes, which ends with NUL.
 */
#ifndef LIBCDP_POOL_H
#define LIBCDP_POOL_H

#include "reply.h"

int cdp_pool_time(const char *pool, u64 *time);
int cdp_pool_checkpoint(const char *pool);

int cdp_pool_create_volume(const char *pool, const char *volume, u64 sectors, u64 *time);
int cdp_pool_delete_volume(const char *pool, const char *volume);

/* volumes: "*", or names with a blank between them */
int cdp_pool_mark(const char *pool, const char *mark, const char *volumes, u64 *time);
int cdp_pool_unmark(const char *pool, const char *mark);

int cdp_pool_revert(const char *pool, const char *volume, const char *instant,
		    u64 *time, u64 *resolved);
int cdp_pool_resolve(const char *pool, const char *volume, const char *instant,
		     u64 *resolved, u64 *branch);

int cdp_pool_list_volumes(const char *pool, struct cdp_volume_line **list, unsigned int *nr);
int cdp_pool_list_marks(const char *pool, struct cdp_mark_line **list, unsigned int *nr);
void cdp_pool_free_marks(struct cdp_mark_line *list, unsigned int nr);
int cdp_pool_list_branches(const char *pool, const char *volume,
			   struct cdp_branch_line **list, unsigned int *nr);

#endif
