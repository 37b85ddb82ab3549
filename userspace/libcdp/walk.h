/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks over all that a metadata device holds.
 *
 * Nothing is trusted: each block is checked before it is used, a block that is reached
 * twice is not entered again, and what is wrong is handed to damage() while the walk goes
 * on with the rest.  Walks return 0, or what a visitor returned to end them.
 */
#ifndef LIBCDP_WALK_H
#define LIBCDP_WALK_H

#include "image.h"
#include "key.h"
#include "super.h"

struct cdp_walk {
	const struct cdp_image *metadata;
	struct cdp_super super;
	u64 nr_blocks;			/* of the metadata device */
	u64 *visited;			/* a bit per block */
	u64 nr_visited;
	void (*damage)(void *context, const char *where, u64 block, const char *why);
	void (*progress)(void *context, u64 nr_visited);	/* or NULL */
	void *context;			/* of these two and the visitors */

	/* Of the index, counted. */
	u64 tree_entries, tree_leaves;
};

typedef int (*cdp_visit_entry)(void *context, u64 key, const void *value);
typedef int (*cdp_visit_word)(void *context, u64 index, u64 word);
typedef int (*cdp_visit_version)(void *context, const struct cdp_version *version);

/*
 * Reads the superblock.  0; -EINVAL with *wrong set: it is none; or -errno.
 */
int cdp_walk_open(struct cdp_walk *walk, const struct cdp_image *metadata, const char **wrong);
void cdp_walk_close(struct cdp_walk *walk);

/* A B-tree; where is its name in messages. */
int cdp_walk_btree(struct cdp_walk *walk, const char *where, u64 root, u32 value_size,
		   cdp_visit_entry visit);

/* The bitmap of the data device, word by word. */
int cdp_walk_space(struct cdp_walk *walk, cdp_visit_word visit);

/* The index, in key order. */
int cdp_walk_versions(struct cdp_walk *walk, cdp_visit_version visit);

/*
 * The metadata space map; last, as it compares itself with what all the other walks visited.
 * *leaked: blocks in use that nothing points to.
 */
int cdp_walk_metadata_space(struct cdp_walk *walk, u64 *leaked);

#endif
