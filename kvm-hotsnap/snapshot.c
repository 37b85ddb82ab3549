// SPDX-License-Identifier: GPL-2.0-only
#include "snapshot.h"
#include "trace.h"

#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

enum { ERASE_BATCH = 1024 };	/* entries, between two chances for others to run */

static bool is_page(const void *entry)
{
	return entry && !xa_is_value(entry) && !xa_is_zero(entry);
}

static void give_back(struct hotsnap_snapshot *snapshot, struct page *page)
{
	__free_page(page);
	atomic_long_dec(&snapshot->used);
}

/* Forgets pages [first, last] of `saved`. */
static void erase(struct hotsnap_snapshot *snapshot, pgoff_t first, pgoff_t last)
{
	XA_STATE(xas, &snapshot->saved, first);
	unsigned int n = 0;
	void *entry;

	xas_lock(&xas);
	xas_for_each(&xas, entry, last) {
		xas_store(&xas, NULL);
		if (is_page(entry)) {
			/* A reader or a mapping may still have a reference. */
			put_page(entry);
			atomic_long_dec(&snapshot->used);
		}
		if (++n % ERASE_BATCH)
			continue;
		/* Not xas_pause(), which relies on the node, and that may be gone. */
		xas_set(&xas, xas.xa_index + 1);
		xas_unlock(&xas);
		cond_resched();
		xas_lock(&xas);
	}
	snapshot->full = false;
	xas_unlock(&xas);
}

static void clear_work(struct work_struct *work)
{
	erase(container_of(work, struct hotsnap_snapshot, clear_work), 0, ULONG_MAX);
}

struct hotsnap_snapshot *hotsnap_snapshot_create(struct file *file,
						 const struct hotsnap_buffer *buffer)
{
	struct hotsnap_snapshot *snapshot = kzalloc(sizeof(*snapshot), GFP_KERNEL_ACCOUNT);

	if (!snapshot)
		return NULL;
	snapshot->file = get_file(file);
	snapshot->memory = hotsnap_memory(file_inode(file));
	snapshot->buffer = *buffer;
	snapshot->state = HOTSNAP_STATE_FROZEN;
	xa_init(&snapshot->saved);
	init_waitqueue_head(&snapshot->wait);
	INIT_WORK(&snapshot->clear_work, clear_work);
	return snapshot;
}

void hotsnap_snapshot_free(struct hotsnap_snapshot *snapshot)
{
	cancel_work_sync(&snapshot->clear_work);
	erase(snapshot, 0, ULONG_MAX);
	xa_destroy(&snapshot->saved);
	fput(snapshot->file);
	kfree(snapshot);
}

bool hotsnap_snapshot_end(struct hotsnap_snapshot *snapshot, enum hotsnap_state state)
{
	bool first;

	xa_lock(&snapshot->saved);
	first = snapshot->state == HOTSNAP_STATE_FROZEN;
	if (first)
		snapshot->state = state;
	xa_unlock(&snapshot->saved);
	if (first) {
		trace_hotsnap_end(snapshot, state);
		wake_up_all(&snapshot->wait);
		/* Of a fault that gives the snapshot up, this would be a long one. */
		queue_work(system_unbound_wq, &snapshot->clear_work);
	}
	return first;
}

/*
 * Saving
 */
bool hotsnap_snapshot_wants(const struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	return READ_ONCE(snapshot->state) == HOTSNAP_STATE_FROZEN &&
	       index < snapshot->nr_pages && index >= READ_ONCE(snapshot->done_below) &&
	       !xa_load((struct xarray *)&snapshot->saved, index);
}

/* The buffer is full.  True: the writer is to wait. */
static bool wait_or_give_up(struct hotsnap_snapshot *snapshot)
{
	bool wait = snapshot->buffer.policy == HOTSNAP_POLICY_WAIT;

	if (wait && snapshot->buffer.wait_ms) {
		xa_lock(&snapshot->saved);
		if (!snapshot->full) {
			snapshot->full = true;
			snapshot->full_since = jiffies;
		}
		wait = time_before(jiffies, snapshot->full_since +
				   msecs_to_jiffies(snapshot->buffer.wait_ms));
		xa_unlock(&snapshot->saved);
	}
	if (wait)
		atomic64_inc(&snapshot->waits);
	else
		hotsnap_snapshot_end(snapshot, HOTSNAP_STATE_ABORTED);
	return wait;
}

static void note_peak(struct hotsnap_snapshot *snapshot, long used)
{
	long peak = atomic_long_read(&snapshot->peak);

	while (used > peak && !atomic_long_try_cmpxchg(&snapshot->peak, &peak, used))
		;
}

int hotsnap_snapshot_reserve(struct hotsnap_snapshot *snapshot, pgoff_t index,
			     struct page **page)
{
	long used = atomic_long_inc_return(&snapshot->used);
	int r;

	if (used > snapshot->buffer.limit) {
		atomic_long_dec(&snapshot->used);
		return wait_or_give_up(snapshot) ? -EAGAIN : 0;
	}
	WRITE_ONCE(snapshot->full, false);
	note_peak(snapshot, used);
	r = xa_reserve(&snapshot->saved, index, GFP_KERNEL_ACCOUNT);
	if (!r) {
		*page = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);
		r = *page ? 0 : -ENOMEM;
	}
	if (r)
		atomic_long_dec(&snapshot->used);
	return r;
}

void hotsnap_snapshot_unreserve(struct hotsnap_snapshot *snapshot, struct page *page)
{
	give_back(snapshot, page);
}

/* Under the lock of `saved`: is there nothing yet, and still a reader? */
static bool still_wanted(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	return snapshot->state == HOTSNAP_STATE_FROZEN && index >= snapshot->done_below &&
	       !xa_load(&snapshot->saved, index);
}

static bool store(struct hotsnap_snapshot *snapshot, pgoff_t index, void *entry)
{
	bool wanted;

	xa_lock(&snapshot->saved);
	wanted = still_wanted(snapshot, index);
	/* Into the slot that was reserved: nothing is allocated. */
	if (wanted)
		__xa_store(&snapshot->saved, index, entry, GFP_NOWAIT | __GFP_NOWARN);
	xa_unlock(&snapshot->saved);
	return wanted;
}

bool hotsnap_snapshot_save(struct hotsnap_snapshot *snapshot, pgoff_t index, struct page *page)
{
	return store(snapshot, index, page);
}

bool hotsnap_snapshot_note(struct hotsnap_snapshot *snapshot, pgoff_t index, unsigned int note)
{
	return store(snapshot, index, xa_mk_value(note));
}

void hotsnap_snapshot_count(struct hotsnap_snapshot *snapshot, pgoff_t index,
			    enum hotsnap_writer writer, bool fresh)
{
	trace_hotsnap_save(snapshot, index, writer, fresh);
	atomic64_inc(fresh ? &snapshot->nr_fresh[writer] : &snapshot->nr_saved[writer]);
}

/*
 * Reading
 */

int hotsnap_state_error(enum hotsnap_state state)
{
	switch (state) {
	case HOTSNAP_STATE_ABORTED:
		return -EIO;
	case HOTSNAP_STATE_CANCELLED:
		return -ECANCELED;
	case HOTSNAP_STATE_COMMITTED:
		return -ENODATA;
	default:
		return 0;
	}
}

/* A page with a reference, or another entry; *r says if it may be read at all. */
static void *get_saved(struct hotsnap_snapshot *snapshot, pgoff_t index, int *r)
{
	void *entry;

	xa_lock(&snapshot->saved);
	entry = xa_load(&snapshot->saved, index);
	*r = hotsnap_state_error(snapshot->state);
	if (!*r && (index < snapshot->done_below || entry == xa_mk_value(SAVED_DONE)))
		*r = -ENODATA;
	if (*r)
		entry = NULL;
	if (is_page(entry))
		get_page(entry);
	xa_unlock(&snapshot->saved);
	return entry;
}

static bool nothing_saved(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	return !xa_load(&snapshot->saved, index) && index >= READ_ONCE(snapshot->done_below) &&
	       READ_ONCE(snapshot->state) == HOTSNAP_STATE_FROZEN;
}

static int copy_saved(struct hotsnap_snapshot *snapshot, pgoff_t index, void *entry,
		      struct page *to)
{
	if (is_page(entry)) {
		copy_highpage(to, entry);
		put_page(entry);
		return 0;
	}
	if (entry == xa_mk_value(SAVED_SOURCE))
		return hotsnap_source_copy(snapshot->memory, index, to);
	clear_highpage(to);
	return 0;
}

/*
 * What the memory holds is what it held, if nothing is saved *after* it was copied: who
 * changes a page saves it first (M3).
 */
int hotsnap_snapshot_copy(struct hotsnap_snapshot *snapshot, pgoff_t index, struct page *to)
{
	void *entry;
	int r;

	for (;;) {
		entry = get_saved(snapshot, index, &r);
		if (r)
			return r;
		if (entry)
			return copy_saved(snapshot, index, entry, to);
		r = hotsnap_memory_copy(snapshot->memory, index, to);
		if (r)
			return r;
		smp_rmb(); /* pairs with the lock under which a writer saves */
		if (nothing_saved(snapshot, index))
			return 0;
	}
}

/* One that is empty, and would be noted as such if it were written. */
static bool note_hole(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	struct hotsnap_memory *memory = snapshot->memory;

	if (hotsnap_page_exists(memory, index) || hotsnap_page_in_source(memory, index) ||
	    xa_reserve(&snapshot->saved, index, GFP_KERNEL_ACCOUNT))
		return false;
	return hotsnap_snapshot_note(snapshot, index, SAVED_ZERO);
}

/* As if someone were about to write the page. */
static int keep_page(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	struct page *page = NULL;
	int r;

	if (note_hole(snapshot, index))
		return 0;
	r = hotsnap_snapshot_reserve(snapshot, index, &page);
	if (r || !page)
		return r;
	r = hotsnap_snapshot_copy(snapshot, index, page);
	if (!r && hotsnap_snapshot_save(snapshot, index, page)) {
		hotsnap_snapshot_count(snapshot, index, HOTSNAP_WRITER_COPY, false);
		return 0;
	}
	hotsnap_snapshot_unreserve(snapshot, page);
	return r;
}

/* A page that was empty gets one of its own, which is not kept. */
static struct page *page_of_note(struct hotsnap_snapshot *snapshot, pgoff_t index, void *note)
{
	struct page *page = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);

	if (page && copy_saved(snapshot, index, note, page)) {
		__free_page(page);
		return NULL;
	}
	return page;
}

int hotsnap_snapshot_page(struct hotsnap_snapshot *snapshot, pgoff_t index, struct page **page)
{
	void *entry;
	int r;

	for (;;) {
		entry = get_saved(snapshot, index, &r);
		if (r)
			return r;
		if (is_page(entry)) {
			*page = entry;
			return 0;
		}
		if (entry) {
			*page = page_of_note(snapshot, index, entry);
			return *page ? 0 : -ENOMEM;
		}
		r = keep_page(snapshot, index);
		if (r)
			return r;
	}
}

static int mark_done(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	void *old = xa_store(&snapshot->saved, index, xa_mk_value(SAVED_DONE),
			     GFP_KERNEL_ACCOUNT);

	if (xa_is_err(old))
		return xa_err(old);
	if (is_page(old)) {
		put_page(old);
		atomic_long_dec(&snapshot->used);
	}
	return 0;
}

/*
 * In order, a reader leaves no trace but ->done_below.
 */
int hotsnap_snapshot_done(struct hotsnap_snapshot *snapshot, pgoff_t first, pgoff_t last)
{
	pgoff_t below;
	int r;

	xa_lock(&snapshot->saved);
	below = snapshot->done_below;
	if (first <= below)
		snapshot->done_below = max(below, last);
	xa_unlock(&snapshot->saved);
	if (first <= below) {
		if (last > below)
			erase(snapshot, below, last - 1);
		return 0;
	}
	for (; first < last; first++) {
		r = mark_done(snapshot, first);
		if (r)
			return r;
		cond_resched();
	}
	xa_lock(&snapshot->saved);
	snapshot->full = false;
	xa_unlock(&snapshot->saved);
	return 0;
}

/*
 * Which pages hold something
 */
static pgoff_t next_changed(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	unsigned long found = index;

	if (xa_find(&snapshot->memory->pages, &found, snapshot->nr_pages - 1,
		    PAGE_CHANGED(snapshot->epoch)))
		return found;
	return snapshot->nr_pages;
}

/* One that vanishes meanwhile is not: what it held has been saved. */
static bool is_old(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	struct folio *folio = hotsnap_get_folio(snapshot->memory->inode.i_mapping, index);
	bool old = folio && !hotsnap_is_fresh(snapshot, folio);

	if (folio)
		folio_put(folio);
	return old;
}

/* One that was made since is no data, as it will be none when it has been written. */
static pgoff_t next_folio(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	pgoff_t nr = snapshot->nr_pages;

	for (;;) {
		index = hotsnap_next_folio(snapshot->memory, index, nr);
		if (index == nr || is_old(snapshot, index))
			return index;
		index++;
	}
}

static pgoff_t next_saved(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	unsigned long found = index;
	void *entry;

	for (entry = xa_find(&snapshot->saved, &found, snapshot->nr_pages - 1, XA_PRESENT); entry;
	     entry = xa_find_after(&snapshot->saved, &found, snapshot->nr_pages - 1, XA_PRESENT))
		if (is_page(entry) || entry == xa_mk_value(SAVED_SOURCE))
			return found;
	return snapshot->nr_pages;
}

/* Those that the memory never had, in the source: any of them may hold something. */
static pgoff_t next_in_source(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	struct file *source = READ_ONCE(snapshot->memory->source);
	pgoff_t end;

	if (!source)
		return snapshot->nr_pages;
	end = min(hotsnap_source_pages(source), snapshot->nr_pages);
	for (; index < end; index++)
		if (hotsnap_page_in_source(snapshot->memory, index))
			return index;
	return snapshot->nr_pages;
}

/* In this order: a page is saved before it vanishes. */
static pgoff_t next_kept(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	pgoff_t next = next_folio(snapshot, index);

	return min(next, next_saved(snapshot, index));
}

pgoff_t hotsnap_snapshot_next(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	pgoff_t next;

	if (index >= snapshot->nr_pages)
		return snapshot->nr_pages;
	if (snapshot->base)
		return next_changed(snapshot, index);
	next = next_kept(snapshot, index);
	while (next < snapshot->nr_pages &&
	       xa_load(&snapshot->saved, next) == xa_mk_value(SAVED_ZERO))
		next = next_kept(snapshot, next + 1);
	return min3(next, next_in_source(snapshot, index), snapshot->nr_pages);
}

bool hotsnap_snapshot_holds(struct hotsnap_snapshot *snapshot, pgoff_t index)
{
	return hotsnap_snapshot_next(snapshot, index) == index;
}

void hotsnap_snapshot_status(struct hotsnap_snapshot *snapshot, struct hotsnap_status *status)
{
	unsigned int i;

	flush_work(&snapshot->clear_work);
	status->state = READ_ONCE(snapshot->state);
	status->id = snapshot->id;
	status->buffer_limit = snapshot->buffer.limit << PAGE_SHIFT;
	status->buffer_used = (u64)atomic_long_read(&snapshot->used) << PAGE_SHIFT;
	status->buffer_peak = (u64)atomic_long_read(&snapshot->peak) << PAGE_SHIFT;
	status->waits = atomic64_read(&snapshot->waits);
	for (i = 0; i < HOTSNAP_NR_WRITERS; i++) {
		status->saved[i] = atomic64_read(&snapshot->nr_saved[i]);
		status->fresh[i] = atomic64_read(&snapshot->nr_fresh[i]);
	}
}
