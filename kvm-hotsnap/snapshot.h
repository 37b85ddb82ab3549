/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A snapshot: what the memory held at an instant.  Of a page that has changed since, the old
 * content or a note; of any other the page itself, which is write-protected.
 */
#ifndef KVM_HOTSNAP_SNAPSHOT_H
#define KVM_HOTSNAP_SNAPSHOT_H

#include "memory.h"

#include <linux/wait.h>
#include <linux/workqueue.h>

/* In ->saved beside pages. */
enum {
	SAVED_ZERO	= 0,		/* it was empty */
	SAVED_SOURCE	= 1,		/* it was not there: as the source has it */
	SAVED_DONE	= 2,		/* the reader has it */
};

struct hotsnap_snapshot {
	struct file *file;		/* the memory's, kept open */
	struct hotsnap_memory *memory;
	u64 id;
	u64 base;			/* incremental: the one before; else 0 */
	loff_t size;
	pgoff_t nr_pages;
	unsigned int epoch;		/* CHANGED(epoch): since the one before */
	struct hotsnap_buffer buffer;	/* limit in pages */
	wait_queue_head_t wait;		/* pollers, for its end */

	struct work_struct clear_work;	/* of what is saved, when it is over */

	struct xarray saved;		/* its lock protects what follows, too */
	enum hotsnap_state state;
	pgoff_t done_below;		/* pages that the reader has; not in `saved` any more */
	bool full;			/* a writer waits for room ... */
	unsigned long full_since;	/* ... since (jiffies) */

	atomic_long_t used;		/* pages of the buffer */
	atomic_long_t peak;
	atomic64_t waits;
	atomic64_t nr_saved[HOTSNAP_NR_WRITERS];
	atomic64_t nr_fresh[HOTSNAP_NR_WRITERS];
};

/*
 * Was the page made after the snapshot?  It holds then what it would have held, until it is
 * written, so where this is wrong a page is saved that need not be.  (Migration forgets it.)
 */
static inline bool hotsnap_is_fresh(const struct hotsnap_snapshot *snapshot,
				    const struct folio *folio)
{
	return (unsigned long)folio->private > (unsigned long)snapshot->id;
}

/* Of the open file.  Sleeps. */
struct hotsnap_snapshot *hotsnap_snapshot_create(struct file *file,
						 const struct hotsnap_buffer *buffer);
void hotsnap_snapshot_free(struct hotsnap_snapshot *snapshot);

/* May this page's old content be asked of it? */
bool hotsnap_snapshot_wants(const struct hotsnap_snapshot *snapshot, pgoff_t index);
/*
 * Room for one page, and a page.  NULL in *page: none is needed any more.  -EAGAIN: later.
 * Sleeps.
 */
int hotsnap_snapshot_reserve(struct hotsnap_snapshot *snapshot, pgoff_t index,
			     struct page **page);
void hotsnap_snapshot_unreserve(struct hotsnap_snapshot *snapshot, struct page *page);
/* Takes over the page and returns true, or it was not wanted any more. */
bool hotsnap_snapshot_save(struct hotsnap_snapshot *snapshot, pgoff_t index, struct page *page);
/* SAVED_ZERO or SAVED_SOURCE; the slot has been reserved. */
bool hotsnap_snapshot_note(struct hotsnap_snapshot *snapshot, pgoff_t index, unsigned int note);
void hotsnap_snapshot_count(struct hotsnap_snapshot *snapshot, pgoff_t index,
			    enum hotsnap_writer writer, bool fresh);

/* From one end of its life to the next, once; gives the buffer back.  Any state but FROZEN. */
bool hotsnap_snapshot_end(struct hotsnap_snapshot *snapshot, enum hotsnap_state state);

/* What asking for a page of such a snapshot yields; 0 if it is frozen. */
int hotsnap_state_error(enum hotsnap_state state);

/* The page at that instant: 0, -ENODATA, -EIO, -ECANCELED, -ENOMEM.  Sleeps. */
int hotsnap_snapshot_copy(struct hotsnap_snapshot *snapshot, pgoff_t index, struct page *to);
/* The same as a page to map, with a reference.  Sleeps. */
int hotsnap_snapshot_page(struct hotsnap_snapshot *snapshot, pgoff_t index, struct page **page);
/* The reader has pages [first, last).  -ENOMEM.  Sleeps. */
int hotsnap_snapshot_done(struct hotsnap_snapshot *snapshot, pgoff_t first, pgoff_t last);
/* The first page from `index` on that holds something (incremental: has changed), or nr_pages. */
pgoff_t hotsnap_snapshot_next(struct hotsnap_snapshot *snapshot, pgoff_t index);
bool hotsnap_snapshot_holds(struct hotsnap_snapshot *snapshot, pgoff_t index);

/* Waits until the buffer of one that has ended is given back. */
void hotsnap_snapshot_status(struct hotsnap_snapshot *snapshot, struct hotsnap_status *status);

/* snapshot-file.c: a file for it, which owns it from then on. */
struct file *hotsnap_snapshot_file(struct hotsnap_snapshot *snapshot);
/* The snapshot of such a file, or NULL if it is none. */
struct hotsnap_snapshot *hotsnap_snapshot_of(struct file *file);

#endif
