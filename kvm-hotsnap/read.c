// SPDX-License-Identifier: GPL-2.0-only
#include "read.h"

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

/* Bytes, 0 when the caller's memory is at its end, or an error. */
static ssize_t read_page(loff_t pos, struct iov_iter *to, loff_t size, hotsnap_copy_fn copy,
			 void *context, struct page *page)
{
	size_t offset = offset_in_page(pos);
	size_t bytes = min_t(loff_t, PAGE_SIZE - offset, size - pos);
	int r;

	r = copy(context, pos >> PAGE_SHIFT, page);
	if (r)
		return r;
	bytes = min(bytes, iov_iter_count(to));
	/* Not copy_page_to_iter(), which would give a pipe the page itself. */
	return copy_to_iter(page_address(page) + offset, bytes, to) ?: -EFAULT;
}

ssize_t hotsnap_read(struct kiocb *iocb, struct iov_iter *to, loff_t size, hotsnap_copy_fn copy,
		     void *context)
{
	struct page *page = alloc_page(GFP_KERNEL);
	ssize_t n = 0, done = 0;

	if (!page)
		return -ENOMEM;
	while (iov_iter_count(to) && iocb->ki_pos < size && !fatal_signal_pending(current)) {
		n = read_page(iocb->ki_pos, to, size, copy, context, page);
		if (n < 0)
			break;
		iocb->ki_pos += n;
		done += n;
		cond_resched();
	}
	__free_page(page);
	return done ?: n;
}
