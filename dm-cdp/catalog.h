/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The catalog: volumes, their branches, and marks, all of them in memory.
 *
 * A change of the catalog is one journal record.  It is prepared (everything is
 * checked and allocated), made durable, and only then applied, which cannot
 * fail; so a change that fails has changed nothing.  Replay and messages use the
 * same two steps.  Applied changes wait in a list for the checkpoint, which
 * writes them to the metadata device.
 *
 * Locking: the mutex, for all of it.  I/O does not take it: a volume's lineage
 * and its newest times are read under the index's locks.
 */
#ifndef DM_CDP_CATALOG_H
#define DM_CDP_CATALOG_H

#include "lineage.h"
#include "record.h"

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>

struct cdp_volume {
	struct list_head list;
	u32 id;
	char name[CDP_NAME_SIZE];
	u64 nr_sectors;
	u64 created;
	unsigned int nr_targets;	/* live targets and views; protected by the mutex */
	bool reverting;			/* writes wait; under the pool's lock */
	unsigned int nr_branches;
	unsigned int nr_saved_branches;	/* while loading: how many there must be */
	struct cdp_branch *branches;
	struct cdp_lineage *lineage;	/* of now; read under the index lock */

	/* Never less than the time of a level's newest version; under the tail lock. */
	u64 newest[CDP_NR_LEVELS];
	bool newest_dirty;
};

struct cdp_mark {
	struct list_head list;		/* by time */
	struct rb_node node;		/* by name */
	u64 time;
	char name[CDP_NAME_SIZE];
	unsigned int nr_volumes;	/* 0: all */
	u32 volumes[];
};

struct cdp_catalog {
	struct mutex mutex;		/* all of it, and changes of the journal's catalog */
	struct list_head volumes;
	struct list_head deleted;	/* volumes whose versions are still there */
	struct list_head marks;
	struct rb_root marks_by_name;
	struct list_head unsaved;	/* struct cdp_change, in order */
	unsigned int nr_unsaved;
	struct rw_semaphore *index_lock; /* held for writing while a lineage changes */
	unsigned int nr_volumes;
	unsigned int nr_marks;
	u32 next_volume;
	unsigned int block_sectors;

	/* While loading. */
	u64 time;			/* no object is younger */
	u64 max_branches;		/* more than are left of it do not fit on the device */
};

struct cdp_change {
	struct list_head list;
	struct cdp_record record;
	struct cdp_volume *volume;	/* the new one, or the one that changes */
	struct cdp_mark *mark;
	struct cdp_branch *branches;
	struct cdp_lineage *lineage;
};

void cdp_catalog_init(struct cdp_catalog *catalog, struct rw_semaphore *index_lock);
void cdp_catalog_exit(struct cdp_catalog *catalog);

struct cdp_volume *cdp_catalog_volume(struct cdp_catalog *catalog, const char *name);
struct cdp_volume *cdp_catalog_volume_by_id(struct cdp_catalog *catalog, u32 id);
struct cdp_mark *cdp_catalog_mark(struct cdp_catalog *catalog, const char *name);

/* Does the mark cover the volume? */
bool cdp_mark_covers(const struct cdp_mark *mark, const struct cdp_volume *volume);

/*
 * Checks the record against the catalog and allocates what applying it needs.
 * Returns the change, or ERR_PTR: -EEXIST (name is taken), -ENOENT (no such volume, mark or
 * instant), -EBUSY (volume is in use), -EINVAL (not the next number, a size, a time),
 * -ENOSPC (numbers used up), -ENOMEM.
 */
struct cdp_change *cdp_change_prepare(struct cdp_catalog *catalog,
				      const struct cdp_record *record);
void cdp_change_apply(struct cdp_catalog *catalog, struct cdp_change *change);
void cdp_change_cancel(struct cdp_change *change);

/*
 * The lineage of the volume at an instant; the caller kvfree()s it.  ERR_PTR: -ENOENT before
 * the volume existed, -ENOMEM.
 */
struct cdp_lineage *cdp_volume_lineage(const struct cdp_volume *volume, u64 instant);

/* Loading a pool: objects as the metadata device holds them. */
int cdp_catalog_load_volume(struct cdp_catalog *catalog, u32 id,
			    const struct cdp_volume_disk *disk);
int cdp_catalog_load_branch(struct cdp_catalog *catalog, u64 key,
			    const struct cdp_branch_disk *disk);
int cdp_catalog_load_mark(struct cdp_catalog *catalog, u64 time,
			  const struct cdp_mark_disk *disk);
/* After all of them: are they whole?  Sets up the lineages. */
int cdp_catalog_loaded(struct cdp_catalog *catalog);

/* Forgets a deleted volume whose versions are gone. */
void cdp_volume_free(struct cdp_volume *volume);

#endif
