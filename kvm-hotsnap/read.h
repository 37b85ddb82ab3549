/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KVM_HOTSNAP_READ_H
#define KVM_HOTSNAP_READ_H

#include <linux/fs.h>

typedef int (*hotsnap_copy_fn)(void *context, pgoff_t index, struct page *to);

/*
 * read(2) by pages, up to `size`, each copied to a page of its own first: the caller's memory
 * may be of the very file, and a fault on it would want locks that copying takes.  Sleeps.
 */
ssize_t hotsnap_read(struct kiocb *iocb, struct iov_iter *to, loff_t size, hotsnap_copy_fn copy,
		     void *context);

#endif
