// SPDX-License-Identifier: GPL-2.0-only
#include "snapshot.h"

#include <linux/highmem.h>
#include <linux/pagevec.h>
#include <linux/sched/signal.h>

int hotsnap_page_know(struct hotsnap_memory *memory, pgoff_t index, unsigned int what)
{
	int r;

	if (what == PAGE_HOLE)
		return xa_err(xa_store(&memory->pages, index, xa_mk_value(what),
				       GFP_KERNEL_ACCOUNT));
	if (xa_load(&memory->pages, index))
		return 0;
	r = xa_insert(&memory->pages, index, xa_mk_value(what), GFP_KERNEL_ACCOUNT);
	return r == -EBUSY ? 0 : r;
}

pgoff_t hotsnap_next_folio(const struct hotsnap_memory *memory, pgoff_t index, pgoff_t last)
{
	struct folio_batch batch;

	if (index >= last)
		return last;
	folio_batch_init(&batch);
	if (filemap_get_folios(memory->inode.i_mapping, &index, last - 1, &batch))
		last = batch.folios[0]->index;
	folio_batch_release(&batch);
	return last;
}

bool hotsnap_page_exists(const struct hotsnap_memory *memory, pgoff_t index)
{
	return hotsnap_next_folio(memory, index, index + 1) == index;
}

bool hotsnap_page_in_source(struct hotsnap_memory *memory, pgoff_t index)
{
	return READ_ONCE(memory->source) &&
	       xa_load(&memory->pages, index) != xa_mk_value(PAGE_HOLE);
}

pgoff_t hotsnap_source_pages(struct file *source)
{
	struct hotsnap_snapshot *snapshot = hotsnap_snapshot_of(source);

	if (snapshot)
		return snapshot->nr_pages;
	return DIV_ROUND_UP(i_size_read(file_inode(source)), PAGE_SIZE);
}

int hotsnap_source_copy(struct hotsnap_memory *memory, pgoff_t index, struct page *to)
{
	struct file *source = READ_ONCE(memory->source);
	loff_t pos = (loff_t)index << PAGE_SHIFT;
	struct hotsnap_snapshot *snapshot;
	ssize_t n = 0;
	void *p;

	if (!source || index >= hotsnap_source_pages(source)) {
		clear_highpage(to);
		return 0;
	}
	snapshot = hotsnap_snapshot_of(source);
	if (snapshot)
		return hotsnap_snapshot_copy(snapshot, index, to) ? -EIO : 0;
	p = kmap_local_page(to);
	while (n < PAGE_SIZE) {
		ssize_t got = kernel_read(source, p + n, PAGE_SIZE - n, &pos);

		if (got < 0) {
			kunmap_local(p);
			return -EIO;
		}
		if (!got)
			break;
		n += got;
	}
	memset(p + n, 0, PAGE_SIZE - n);
	kunmap_local(p);
	return 0;
}

/* A folio that is being filled holds nothing yet. */
static bool copy_folio(struct hotsnap_memory *memory, pgoff_t index, struct page *to)
{
	struct folio *folio = hotsnap_lock_folio(memory->inode.i_mapping, index);
	bool filled;

	if (!folio)
		return false;
	filled = folio_test_uptodate(folio);
	if (filled)
		copy_highpage(to, folio_page(folio, 0));
	folio_unlock(folio);
	folio_put(folio);
	return filled;
}

int hotsnap_memory_copy(struct hotsnap_memory *memory, pgoff_t index, struct page *to)
{
	int r = 0;

	if (copy_folio(memory, index, to))
		return 0;
	/* Who makes the page and changes it meanwhile does so at the time of this read. */
	if (hotsnap_page_in_source(memory, index))
		r = hotsnap_source_copy(memory, index, to);
	else
		clear_highpage(to);
	return r;
}

struct folio *hotsnap_folio_make(struct hotsnap_memory *memory, pgoff_t index)
{
	return read_mapping_folio(memory->inode.i_mapping, index, NULL);
}

int hotsnap_change_prepare(struct hotsnap_memory *memory, struct hotsnap_change *change,
			   const struct folio *folio)
{
	struct hotsnap_snapshot *snapshot = memory->snapshot;
	int r;

	lockdep_assert_held(&memory->instant);
	change->copy = NULL;
	if (!snapshot || !hotsnap_snapshot_wants(snapshot, change->index))
		return 0;
	if (hotsnap_is_fresh(snapshot, folio))
		r = xa_reserve(&snapshot->saved, change->index, GFP_KERNEL_ACCOUNT);
	else
		r = hotsnap_snapshot_reserve(snapshot, change->index, &change->copy);
	if (r != -ENOMEM)
		return r;
	hotsnap_snapshot_end(snapshot, HOTSNAP_STATE_ABORTED);
	return 0;
}

static void save(struct hotsnap_memory *memory, struct hotsnap_change *change,
		 struct folio *folio)
{
	struct hotsnap_snapshot *snapshot = memory->snapshot;

	if (change->copy) {
		copy_highpage(change->copy, folio_page(folio, 0));
		if (hotsnap_snapshot_save(snapshot, change->index, change->copy)) {
			change->copy = NULL;
			hotsnap_snapshot_count(snapshot, change->index, change->writer,
					       false);
		}
	} else if (hotsnap_is_fresh(snapshot, folio)) {
		if (hotsnap_snapshot_note(snapshot, change->index,
					  hotsnap_page_in_source(memory, change->index) ?
					  SAVED_SOURCE : SAVED_ZERO))
			hotsnap_snapshot_count(snapshot, change->index, change->writer, true);
	}
}

void hotsnap_change_apply(struct hotsnap_memory *memory, struct hotsnap_change *change,
			  struct folio *folio, bool writable)
{
	lockdep_assert_held(&memory->instant);
	if (memory->snapshot)
		save(memory, change, folio);
	xa_lock(&memory->pages);
	if (writable)
		__xa_set_mark(&memory->pages, change->index, PAGE_WRITABLE);
	__xa_set_mark(&memory->pages, change->index, PAGE_CHANGED(memory->epoch));
	xa_unlock(&memory->pages);
}

void hotsnap_change_end(struct hotsnap_memory *memory, struct hotsnap_change *change)
{
	if (change->copy)
		hotsnap_snapshot_unreserve(memory->snapshot, change->copy);
	change->copy = NULL;
}

void hotsnap_wait_for_room(void)
{
	/*
	 * Not on the snapshot's queue, which may go meanwhile; and not for long, as a fault holds
	 * its process's mmap_lock.
	 */
	schedule_timeout_interruptible(msecs_to_jiffies(4));
}
