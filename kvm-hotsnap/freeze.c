// SPDX-License-Identifier: GPL-2.0-only
/* Write-protecting, the instant, and how a snapshot ends. */
#include "snapshot.h"
#include "trace.h"

#include <linux/file.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/slab.h>

enum {
	BATCH = 256,			/* folios that are locked at a time */
	BATCH_SPAN = 2048,		/* pages of page table that a batch may lie in */
	SETTLE_BATCH = 1024,
};

/*
 * Pages that are to be write-protected together, in order.  More than one folio is locked only
 * here, in ascending order, and who holds one lock never waits for `instant`.
 */
struct protect {
	struct hotsnap_memory *memory;
	bool exclusive;			/* `instant` is held for writing */
	unsigned int nr;
	u64 protected;
	u64 pinned;
	unsigned long cleaned[BITS_TO_LONGS(BATCH_SPAN)];	/* nobody reads it */
	struct folio *folios[BATCH];
};

static void forget_writable(struct hotsnap_memory *memory, pgoff_t index)
{
	xa_clear_mark(&memory->pages, index, PAGE_WRITABLE);
}

static void release(struct protect *p, struct folio *folio)
{
	/* M5.  Pinned before the TLB was flushed, or by a fault, which waits. */
	if (folio_maybe_dma_pinned(folio))
		p->pinned++;
	else
		forget_writable(p->memory, folio->index);
	folio_unlock(folio);
	folio_put(folio);
}

/*
 * Entries are also made clean: mprotect() and NUMA balancing take a dirty one for proof that
 * there was a fault, and make it writable again.
 */
#ifdef CONFIG_MAPPING_DIRTY_HELPERS
static void write_protect(struct protect *p)
{
	struct address_space *mapping = p->memory->inode.i_mapping;
	pgoff_t first = p->folios[0]->index, end = p->folios[p->nr - 1]->index + 1;
	pgoff_t from = BATCH_SPAN, to = 0;

	wp_shared_mapping_range(mapping, first, end - first);
	clean_record_shared_mapping_range(mapping, first, end - first, first, p->cleaned, &from,
					  &to);
}
#else
/* Distributions' kernels have the helpers; this looks up each mapping of each page. */
static void write_protect(struct protect *p)
{
	unsigned int i;

	for (i = 0; i < p->nr; i++)
		folio_mkclean(p->folios[i]);
}
#endif

/*
 * The folios are locked, so nothing is migrated meanwhile, and nobody is between setting the
 * mark and setting the page table entry.
 */
static void protect_batch(struct protect *p)
{
	unsigned int i;

	if (!p->nr)
		return;
	write_protect(p);
	for (i = 0; i < p->nr; i++)
		release(p, p->folios[i]);
	p->protected += p->nr;
	p->nr = 0;
}

/*
 * A mark without a folio is left by one that was punched.  Where others may make it anew and
 * mark it, it stays.
 */
static void protect_page(struct protect *p, pgoff_t index)
{
	struct folio *folio;

	if (p->nr == BATCH || (p->nr && index - p->folios[0]->index >= BATCH_SPAN))
		protect_batch(p);
	folio = hotsnap_lock_folio(p->memory->inode.i_mapping, index);
	if (folio)
		p->folios[p->nr++] = folio;
	else if (p->exclusive)
		forget_writable(p->memory, index);
}

/* Pages [first, last) that are marked, at most `max` of them.  Returns where to go on. */
static pgoff_t protect_range(struct protect *p, pgoff_t first, pgoff_t last, u64 max)
{
	unsigned long index = first;

	lockdep_assert_held(&p->memory->instant);
	if (first >= last)
		return last;
	while (max-- && xa_find(&p->memory->pages, &index, last - 1, PAGE_WRITABLE)) {
		protect_page(p, index++);
		if (index == last)
			break;
	}
	protect_batch(p);
	return max == U64_MAX ? index : last;
}

static struct protect *protect_alloc(struct hotsnap_memory *memory)
{
	struct protect *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (p)
		p->memory = memory;
	return p;
}

int hotsnap_arm(struct hotsnap_memory *memory, struct hotsnap_arm *arm)
{
	pgoff_t index = arm->start >> PAGE_SHIFT, last = (arm->start + arm->len) >> PAGE_SHIFT;
	struct protect *p = protect_alloc(memory);

	if (!p)
		return -ENOMEM;
	while (index < last && !fatal_signal_pending(current)) {
		/* A freeze may come between two batches, not within one: M1. */
		down_read(&memory->instant);
		index = protect_range(p, index, last, BATCH);
		up_read(&memory->instant);
		cond_resched();
	}
	arm->armed = p->protected;
	kfree(p);
	return 0;
}

/*
 * The end of a snapshot
 *
 * What changed before it is known to be saved, or has to be part of the next increment.
 */
static void settle_changes(struct hotsnap_memory *memory, unsigned int epoch, bool keep)
{
	XA_STATE(xas, &memory->pages, 0);
	unsigned int n = 0;
	void *entry;

	xas_lock(&xas);
	xas_for_each_marked(&xas, entry, ULONG_MAX, PAGE_CHANGED(epoch)) {
		if (keep)
			xas_set_mark(&xas, PAGE_CHANGED(!epoch));
		xas_clear_mark(&xas, PAGE_CHANGED(epoch));
		if (++n % SETTLE_BATCH)
			continue;
		xas_pause(&xas);
		xas_unlock(&xas);
		cond_resched();
		xas_lock(&xas);
	}
	xas_unlock(&xas);
}

bool hotsnap_finish(struct hotsnap_snapshot *snapshot, enum hotsnap_state state)
{
	struct hotsnap_memory *memory = snapshot->memory;
	bool first;

	lockdep_assert_held(&memory->control);
	first = hotsnap_snapshot_end(snapshot, state);
	if (memory->snapshot != snapshot)
		return first;
	/* Who saves holds it for reading. */
	down_write(&memory->instant);
	memory->snapshot = NULL;
	up_write(&memory->instant);
	flush_work(&snapshot->clear_work);
	memory->last_state = snapshot->state;
	if (snapshot->state == HOTSNAP_STATE_COMMITTED) {
		settle_changes(memory, snapshot->epoch, false);
		memory->committed_id = snapshot->id;
	} else {
		settle_changes(memory, snapshot->epoch, true);
	}
	return first;
}

/*
 * The instant
 */
static int freeze_memory(struct hotsnap_memory *memory, struct hotsnap_snapshot *snapshot,
			 struct protect *p)
{
	int r = 0;

	down_write(&memory->instant);
	p->exclusive = true;
	protect_range(p, 0, ULONG_MAX, U64_MAX);
	if (p->pinned) {
		r = -EBUSY;
	} else {
		snapshot->size = i_size_read(&memory->inode);
		snapshot->nr_pages = hotsnap_nr_pages(memory);
		snapshot->id = ++memory->last_id;
		snapshot->epoch = memory->epoch;
		memory->epoch = !memory->epoch;
		memory->snapshot = snapshot;
	}
	up_write(&memory->instant);
	return r;
}

static int may_freeze(struct hotsnap_memory *memory, const struct hotsnap_freeze *freeze)
{
	struct hotsnap_snapshot *old = memory->snapshot;

	if (old && READ_ONCE(old->state) == HOTSNAP_STATE_FROZEN)
		return -EBUSY;
	if (old)
		hotsnap_finish(old, HOTSNAP_STATE_CANCELLED);
	if (!(freeze->flags & HOTSNAP_FREEZE_INCREMENTAL))
		return 0;
	return freeze->base && freeze->base == memory->committed_id ? 0 : -ESTALE;
}

static void set_buffer(struct hotsnap_snapshot *snapshot)
{
	u64 limit = snapshot->buffer.limit >> PAGE_SHIFT;

	snapshot->buffer.limit = limit ?: max_t(u64, hotsnap_nr_pages(snapshot->memory) / 4, 1);
}

/* The file that is returned owns the snapshot. */
static struct file *freeze_locked(struct hotsnap_memory *memory, struct file *file,
				  struct hotsnap_freeze *freeze, struct protect *p)
{
	struct hotsnap_snapshot *snapshot;
	struct file *result;
	u64 start;
	int r;

	r = may_freeze(memory, freeze);
	if (r)
		return ERR_PTR(r);
	snapshot = hotsnap_snapshot_create(file, &memory->buffer);
	if (!snapshot)
		return ERR_PTR(-ENOMEM);
	set_buffer(snapshot);
	if (freeze->flags & HOTSNAP_FREEZE_INCREMENTAL)
		snapshot->base = freeze->base;
	result = hotsnap_snapshot_file(snapshot);
	if (IS_ERR(result)) {
		hotsnap_snapshot_free(snapshot);
		return result;
	}

	start = ktime_get_ns();
	r = freeze_memory(memory, snapshot, p);
	freeze->wait_ns = ktime_get_ns() - start;
	freeze->armed = p->protected;
	freeze->pinned = p->pinned;
	freeze->pages = memory->inode.i_mapping->nrpages;
	freeze->id = snapshot->id;
	trace_hotsnap_freeze(snapshot, freeze);
	if (!r) {
		i_size_write(file_inode(result), snapshot->size);
		return result;
	}
	/* It was never frozen: its release has nothing to settle. */
	fput(result);
	return ERR_PTR(r);
}

struct file *hotsnap_freeze(struct file *file, struct hotsnap_freeze *freeze)
{
	struct hotsnap_memory *memory = hotsnap_memory(file_inode(file));
	struct protect *p = protect_alloc(memory);
	struct file *result;

	if (!p)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&memory->control);
	result = freeze_locked(memory, file, freeze, p);
	mutex_unlock(&memory->control);
	kfree(p);
	return result;
}
