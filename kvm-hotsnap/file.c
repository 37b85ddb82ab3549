// SPDX-License-Identifier: GPL-2.0-only
/* A file that holds memory: system calls on it. */
#include "super.h"
#include "snapshot.h"
#include "read.h"

#include <linux/falloc.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

/*
 * Reading makes no pages.
 */
static int read_one(void *context, pgoff_t index, struct page *to)
{
	return hotsnap_memory_copy(context, index, to);
}

static ssize_t file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct hotsnap_memory *memory = hotsnap_memory(file_inode(iocb->ki_filp));

	return hotsnap_read(iocb, to, i_size_read(&memory->inode), read_one, memory);
}

/*
 * Writing: like a fault, and the new content under the same lock of the folio.
 */
typedef size_t (*fill_fn)(void *context, struct page *page, size_t offset, size_t bytes);

static ssize_t fill_locked(struct hotsnap_memory *memory, struct folio *folio, size_t offset,
			   size_t bytes, fill_fn fill, void *context)
{
	struct hotsnap_change change = {
		.index = folio->index,
		.writer = HOTSNAP_WRITER_KERNEL,
	};
	ssize_t n = -EAGAIN;
	int r;

	r = hotsnap_change_prepare(memory, &change, folio);
	if (r)
		return r;
	folio_lock(folio);
	if (folio->mapping == memory->inode.i_mapping) {
		/* M1: until it is unlocked it can be written. */
		hotsnap_change_apply(memory, &change, folio, true);
		n = fill(context, folio_page(folio, 0), offset, bytes);
		flush_dcache_folio(folio);
		/* A clean one that nobody maps may be dropped. */
		folio_mark_dirty(folio);
	}
	folio_unlock(folio);
	hotsnap_change_end(memory, &change);
	return n;
}

/* -EAGAIN: once more, if no signal has come. */
static ssize_t fill_page(struct hotsnap_memory *memory, pgoff_t index, size_t offset, size_t bytes,
			 fill_fn fill, void *context)
{
	struct folio *folio = hotsnap_folio_make(memory, index);
	ssize_t n;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	n = hotsnap_page_know(memory, index, PAGE_KNOWN);
	if (!n) {
		down_read(&memory->instant);
		n = fill_locked(memory, folio, offset, bytes, fill, context);
		up_read(&memory->instant);
	}
	folio_put(folio);
	if (n != -EAGAIN)
		return n;
	hotsnap_wait_for_room();
	return signal_pending(current) ? -EINTR : -EAGAIN;
}

static size_t fill_from_iter(void *context, struct page *page, size_t offset, size_t bytes)
{
	return copy_page_from_iter_atomic(page, offset, bytes, context);
}

static ssize_t write_pages(struct hotsnap_memory *memory, loff_t pos, struct iov_iter *from)
{
	ssize_t done = 0, n = 0;

	while (iov_iter_count(from)) {
		size_t offset = offset_in_page(pos);
		size_t bytes = min_t(size_t, PAGE_SIZE - offset, iov_iter_count(from));

		/* With the folio locked a fault might want that very folio. */
		if (fault_in_iov_iter_readable(from, bytes) == bytes) {
			n = -EFAULT;
			break;
		}
		n = fill_page(memory, pos >> PAGE_SHIFT, offset, bytes, fill_from_iter, from);
		if (n == -EAGAIN)
			continue;
		if (n < 0)
			break;
		pos += n;
		done += n;
		if (pos > i_size_read(&memory->inode))
			i_size_write(&memory->inode, pos);
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return done ?: n;
}

static ssize_t file_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t n;

	inode_lock(inode);
	n = generic_write_checks(iocb, from);
	if (n > 0)
		n = file_remove_privs(iocb->ki_filp) ?:
		    file_update_time(iocb->ki_filp) ?:
		    write_pages(hotsnap_memory(inode), iocb->ki_pos, from);
	inode_unlock(inode);
	if (n > 0)
		iocb->ki_pos += n;
	return n;
}

static size_t fill_with_zeroes(void *context, struct page *page, size_t offset, size_t bytes)
{
	memzero_page(page, offset, bytes);
	return bytes;
}

int hotsnap_zero(struct hotsnap_memory *memory, loff_t start, loff_t end)
{
	ssize_t n = 0;

	if (start == end || (!hotsnap_page_exists(memory, start >> PAGE_SHIFT) &&
			     !hotsnap_page_in_source(memory, start >> PAGE_SHIFT)))
		return 0;
	do {
		n = fill_page(memory, start >> PAGE_SHIFT, offset_in_page(start), end - start,
			      fill_with_zeroes, NULL);
	} while (n == -EAGAIN);
	return min_t(ssize_t, n, 0);
}

/*
 * Space
 */
static int allocate(struct hotsnap_memory *memory, pgoff_t index, pgoff_t last)
{
	for (; index < last; index++) {
		struct folio *folio = hotsnap_folio_make(memory, index);

		if (IS_ERR(folio))
			return PTR_ERR(folio);
		folio_put(folio);
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Pages that are punched in part are zeroed there. */
static int punch(struct hotsnap_memory *memory, loff_t start, loff_t end)
{
	loff_t first = round_up(start, PAGE_SIZE), last = round_down(end, PAGE_SIZE);
	int r;

	if (first > last)
		return hotsnap_zero(memory, start, end);
	r = hotsnap_zero(memory, start, first);
	if (!r)
		r = hotsnap_punch(memory, first >> PAGE_SHIFT, last >> PAGE_SHIFT);
	if (!r)
		r = hotsnap_zero(memory, last, end);
	return r;
}

static int grow(struct hotsnap_memory *memory, loff_t end)
{
	int r = inode_newsize_ok(&memory->inode, end);

	if (!r && end > i_size_read(&memory->inode))
		i_size_write(&memory->inode, end);
	return r;
}

static long file_fallocate(struct file *file, int mode, loff_t start, loff_t len)
{
	struct inode *inode = file_inode(file);
	struct hotsnap_memory *memory = hotsnap_memory(inode);
	loff_t end = start + len;
	int r;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	inode_lock(inode);
	if (mode & FALLOC_FL_PUNCH_HOLE)
		r = punch(memory, start, min(end, round_up(i_size_read(inode), PAGE_SIZE)));
	else
		r = allocate(memory, start >> PAGE_SHIFT, DIV_ROUND_UP(end, PAGE_SIZE));
	if (!r && !mode)
		r = grow(memory, end);
	if (!r)
		hotsnap_touch(inode);
	inode_unlock(inode);
	return r;
}

/*
 * A private writable mapping has pages of its own, that nobody would freeze.
 */
static int file_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_MAYSHARE)) {
		if (vma->vm_flags & VM_WRITE) {
			pr_notice_ratelimited("hotsnap: %s (%d) maps %pD private and writable, which a snapshot would not see: use share=on\n",
					      current->comm, task_pid_nr(current), file);
			return -EINVAL;
		}
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	file_accessed(file);
	vma->vm_ops = &hotsnap_vm_ops;
	return 0;
}

const struct file_operations hotsnap_file_ops = {
	.owner		= THIS_MODULE,
	.llseek		= generic_file_llseek,
	.read_iter	= file_read_iter,
	.write_iter	= file_write_iter,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.mmap		= file_mmap,
	.fallocate	= file_fallocate,
	.fsync		= noop_fsync,
	.unlocked_ioctl	= hotsnap_file_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};
