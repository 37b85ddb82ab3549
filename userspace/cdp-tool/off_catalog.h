/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Volumes, branches and marks of a pool that is closed.
 */
#ifndef CDP_TOOL_OFF_CATALOG_H
#define CDP_TOOL_OFF_CATALOG_H

#include "offline.h"

/* From the metadata device.  0 or -errno. */
int off_catalog_load(struct offline *o);

/* What is wrong with it, in words, or NULL. */
const char *off_size_wrong(const struct offline *o, u64 nr_sectors);
const char *off_branch_wrong(const struct off_volume *v, u64 start, u64 revert_to);

/* NULL or -ENOMEM: no memory.  Numbers and times only grow from one to the next. */
struct off_volume *off_volume_new(struct offline *o, u32 id, const char name[CDP_NAME_SIZE]);
int off_branch_add(struct off_volume *v, u64 start, u64 revert_to);
int off_mark_add(struct offline *o, const struct off_mark *mark);

#endif
