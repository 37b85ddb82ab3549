// SPDX-License-Identifier: GPL-2.0-only
/* The page cache's side: pages come into being, and become writable. */
#include "snapshot.h"
#include "latency.h"

#include <linux/highmem.h>
#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <linux/stacktrace.h>
#include <asm/syscall.h>

/*
 * Fills a new page.  Its birth is noted in folio->private, which is free as long as
 * PG_private is not set: see hotsnap_is_fresh().
 */
static int hotsnap_read_folio(struct file *file, struct folio *folio)
{
	struct hotsnap_memory *memory = hotsnap_memory(folio->mapping->host);
	int r = 0;

	folio->private = (void *)(unsigned long)(READ_ONCE(memory->last_id) + 1);
	if (hotsnap_page_in_source(memory, folio->index))
		r = hotsnap_source_copy(memory, folio->index, folio_page(folio, 0));
	else
		clear_highpage(folio_page(folio, 0));
	if (!r) {
		flush_dcache_folio(folio);
		folio_mark_uptodate(folio);
	}
	folio_unlock(folio);
	return r;
}

const struct address_space_operations hotsnap_aops = {
	.read_folio	= hotsnap_read_folio,
	.dirty_folio	= noop_dirty_folio,
};

enum {
	MAX_FRAMES	= 12,
	LOOKUP_SIZE	= 1024,		/* bytes of get_user_pages_unlocked(), at least */
};

/* Is the page looked up (GUP), as KVM does for its guest?  An access would have faulted. */
static bool is_lookup(void)
{
	unsigned long frames[MAX_FRAMES], start = (unsigned long)get_user_pages_unlocked;
	unsigned int i, nr = stack_trace_save(frames, MAX_FRAMES, 1);

	for (i = 0; i < nr; i++)
		if (frames[i] - start < LOOKUP_SIZE)
			return true;
	return false;
}

/*
 * By the time page_mkwrite is called vmf->flags do not say it any more.  A fault of user mode
 * is no system call; a worker of the kernel (vhost) has none either.
 */
static enum hotsnap_writer current_writer(void)
{
	if (!(current->flags & (PF_KTHREAD | HOTSNAP_PF_WORKER)) &&
	    syscall_get_nr(current, task_pt_regs(current)) == -1)
		return HOTSNAP_WRITER_DMA;
	return is_lookup() ? HOTSNAP_WRITER_GUEST : HOTSNAP_WRITER_KERNEL;
}

/* `instant` is held; the folio comes back locked, as VM_FAULT_LOCKED wants it. */
static vm_fault_t make_writable(struct hotsnap_memory *memory, struct hotsnap_change *change,
				struct folio *folio)
{
	vm_fault_t ret = VM_FAULT_LOCKED;

	folio_lock(folio);
	if (folio->mapping == memory->inode.i_mapping) {
		hotsnap_change_apply(memory, change, folio, true);
	} else {
		folio_unlock(folio);
		ret = VM_FAULT_NOPAGE;
	}
	hotsnap_change_end(memory, change);
	return ret;
}

/*
 * The kernel calls this before any page table entry of the file becomes writable, whoever
 * wants to write.
 */
static vm_fault_t hotsnap_page_mkwrite(struct vm_fault *vmf)
{
	struct hotsnap_memory *memory = hotsnap_memory(file_inode(vmf->vma->vm_file));
	struct folio *folio = page_folio(vmf->page);
	struct hotsnap_change change = {
		.index = folio->index,
		.writer = current_writer(),
	};
	u64 start = hotsnap_latency_start();
	vm_fault_t ret;
	int r;

	r = hotsnap_page_know(memory, change.index, PAGE_KNOWN);
	if (r)
		return VM_FAULT_OOM;
	down_read(&memory->instant);
	r = hotsnap_change_prepare(memory, &change, folio);
	if (!r)
		ret = make_writable(memory, &change, folio);
	up_read(&memory->instant);
	if (r) {
		/* The fault comes back, if no signal ends it. */
		hotsnap_wait_for_room();
		ret = VM_FAULT_NOPAGE;
	}
	hotsnap_latency_end(start);
	return ret;
}

const struct vm_operations_struct hotsnap_vm_ops = {
	.fault		= filemap_fault,
	.map_pages	= filemap_map_pages,
	.page_mkwrite	= hotsnap_page_mkwrite,
};
