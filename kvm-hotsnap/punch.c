// SPDX-License-Identifier: GPL-2.0-only
/* Pages vanish: punched (a balloon, free page reporting), or cut off. */
#include "snapshot.h"

#include <linux/sched/signal.h>

enum { SLICE = 512 };		/* pages, between two chances for a freeze */

/* A page that is not there need not be saved, but where it comes from may have to be noted. */
static int note_absent(struct hotsnap_memory *memory, pgoff_t index)
{
	struct hotsnap_snapshot *snapshot = memory->snapshot;
	int r;

	if (!snapshot || !hotsnap_page_in_source(memory, index) ||
	    !hotsnap_snapshot_wants(snapshot, index))
		return 0;
	r = xa_reserve(&snapshot->saved, index, GFP_KERNEL_ACCOUNT);
	if (r)
		hotsnap_snapshot_end(snapshot, HOTSNAP_STATE_ABORTED);
	else
		hotsnap_snapshot_note(snapshot, index, SAVED_SOURCE);
	return 0;
}

static int change_present(struct hotsnap_memory *memory, struct folio *folio)
{
	struct hotsnap_change change = {
		.index = folio->index,
		.writer = HOTSNAP_WRITER_KERNEL,
	};
	int r;

	r = hotsnap_change_prepare(memory, &change, folio);
	if (r)
		return r;
	folio_lock(folio);
	if (folio->mapping == memory->inode.i_mapping)
		hotsnap_change_apply(memory, &change, folio, false);
	folio_unlock(folio);
	hotsnap_change_end(memory, &change);
	return 0;
}

/* The entry in ->pages says that the source is not asked again. */
static int change_page(struct hotsnap_memory *memory, pgoff_t index)
{
	struct folio *folio = hotsnap_get_folio(memory->inode.i_mapping, index);
	int r = 0;

	if (folio) {
		r = hotsnap_page_know(memory, index, PAGE_KNOWN);
		if (!r)
			r = change_present(memory, folio);
		folio_put(folio);
	} else if (hotsnap_page_in_source(memory, index)) {
		r = note_absent(memory, index);
	}
	if (!r && READ_ONCE(memory->source)) {
		r = hotsnap_page_know(memory, index, PAGE_HOLE);
		xa_set_mark(&memory->pages, index, PAGE_CHANGED(memory->epoch));
	}
	return r;
}

/* Without a source, pages that are not there need no look. */
static pgoff_t next_page(struct hotsnap_memory *memory, pgoff_t index, pgoff_t last)
{
	return READ_ONCE(memory->source) ? index : hotsnap_next_folio(memory, index, last);
}

/*
 * What is between saving a page and dropping it is done with `instant` held, so no freeze
 * comes between them.  A page that is written in between has been saved, and is dropped.
 */
static int punch_slice(struct hotsnap_memory *memory, pgoff_t first, pgoff_t last)
{
	pgoff_t index = first;
	int r = 0;

	for (;;) {
		index = next_page(memory, index, last);
		if (index >= last)
			break;
		r = change_page(memory, index++);
		if (r || index >= last)
			break;
	}
	if (!r)
		truncate_pagecache_range(&memory->inode, (loff_t)first << PAGE_SHIFT,
					 ((loff_t)last << PAGE_SHIFT) - 1);
	return r;
}

int hotsnap_punch(struct hotsnap_memory *memory, pgoff_t first, pgoff_t last)
{
	pgoff_t end;
	int r;

	while (first < last) {
		first = next_page(memory, first, last);
		end = min(last, first + SLICE);
		if (first >= last)
			break;
		down_read(&memory->instant);
		r = punch_slice(memory, first, end);
		up_read(&memory->instant);
		if (r == -EAGAIN && !signal_pending(current)) {
			hotsnap_wait_for_room();
			continue;
		}
		if (r)
			return r == -EAGAIN ? -EINTR : r;
		first = end;
		cond_resched();
	}
	return 0;
}
