/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between the kernels that kvm-hotsnap is built for.  The rest of the code reads
 * as if it were in the tree of the newest; LINUX_VERSION_CODE stands here and nowhere else.
 */
#ifndef KVM_HOTSNAP_COMPAT_H
#define KVM_HOTSNAP_COMPAT_H

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define mnt_idmap user_namespace
#define nop_mnt_idmap init_user_ns

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* NULL where there is none: since 6.4 it is ERR_PTR(-ENOENT). */
static inline struct folio *hotsnap_lock_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_lock_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

static inline struct folio *hotsnap_get_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

/* A thread that the kernel runs for a process: vhost's since 6.4, io_uring's. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define HOTSNAP_PF_WORKER PF_IO_WORKER
#else
#define HOTSNAP_PF_WORKER (PF_IO_WORKER | PF_USER_WORKER)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define copy_splice_read generic_file_splice_read
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline void simple_inode_init_ts(struct inode *inode)
{
	inode->i_mtime = inode_set_ctime_current(inode);
	inode->i_atime = inode->i_mtime;
}

static inline void hotsnap_touch(struct inode *inode)
{
	inode->i_mtime = inode_set_ctime_current(inode);
}
#else
static inline void hotsnap_touch(struct inode *inode)
{
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
}
#endif

#endif
