/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory that a file holds, and the one way to change it.
 *
 * Invariants
 *   M1 A page that a process, KVM or a system call can write has PAGE_WRITABLE in ->pages, or
 *      its folio is locked by who is about to make it so and has set the mark.
 *   M2 The mark is set under the folio's lock, ->instant being held for reading.
 *   M3 The content of a page changes only after hotsnap_change_apply() for the present epoch:
 *      the snapshot has what it needs of it, and CHANGED(epoch) is set.
 *   M4 While no snapshot is unfinished, no page has CHANGED(!epoch).
 *   M5 A folio that is pinned for I/O keeps PAGE_WRITABLE: it can be written without a fault.
 *
 * Why a freeze is an instant.  It holds ->instant for writing, so that nobody begins to make a
 * page writable; those who had begun hold the folio's lock until the page table entry is in
 * place, so it takes that lock of every page with PAGE_WRITABLE before it write-protects it.
 * Page A is protected before page B.  In between B can be written and A cannot, so what A holds
 * when it is protected it still holds when the last page is: the content of all pages is that
 * of one moment, the one at which the last was protected.
 *
 * Lock order
 *   control
 *     mmap_lock, inode lock
 *       instant
 *         folio lock
 *           i_mmap_rwsem, page table locks; xa_lock of pages and of a snapshot's saved
 */
#ifndef KVM_HOTSNAP_MEMORY_H
#define KVM_HOTSNAP_MEMORY_H

#include "compat/compat.h"

#include <linux/fs.h>
#include <linux/hotsnap.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/rwsem.h>
#include <linux/xarray.h>

struct hotsnap_snapshot;

#define PAGE_WRITABLE		XA_MARK_0
#define PAGE_CHANGED(epoch)	((epoch) ? XA_MARK_2 : XA_MARK_1)

/* Entries of ->pages: there is one for each page that was ever written or punched. */
enum {
	PAGE_KNOWN	= 0,
	PAGE_HOLE	= 1,		/* not to be filled from the source any more */
};

struct hotsnap_memory {
	struct inode inode;
	struct rw_semaphore instant;
	struct xarray pages;		/* by page number; marks: M1, M4 */
	struct mutex control;		/* freezes and the ends of snapshots, one at a time */

	/* Changed under `instant` held for writing. */
	struct hotsnap_snapshot *snapshot; /* the newest that is unfinished or was aborted */
	unsigned int epoch;		/* 0, 1: what CHANGED mark writes set */
	u64 last_id;

	/* Under `control`. */
	u64 committed_id;
	enum hotsnap_state last_state;	/* how the last snapshot ended */
	struct hotsnap_buffer buffer;

	struct file *source;		/* set once, while there is no page; kept to the end */
	unsigned int depth;		/* of sources that are snapshots of files with sources */
};

static inline struct hotsnap_memory *hotsnap_memory(const struct inode *inode)
{
	return container_of(inode, struct hotsnap_memory, inode);
}

static inline pgoff_t hotsnap_nr_pages(const struct hotsnap_memory *memory)
{
	return DIV_ROUND_UP(i_size_read(&memory->inode), PAGE_SIZE);
}

/* One page is about to change. */
struct hotsnap_change {
	pgoff_t index;
	enum hotsnap_writer writer;
	struct page *copy;		/* for what it held */
};

/*
 * A page's entry in ->pages, before `instant` is taken: it may have to be allocated.
 * -ENOMEM.  Sleeps.
 */
int hotsnap_page_know(struct hotsnap_memory *memory, pgoff_t index, unsigned int what);

/*
 * Before the folio is locked, `instant` held for reading: has memory for what has to be saved,
 * unless it need not be.  -EAGAIN: the buffer is full, and the writer is to wait
 * (hotsnap_wait_for_room(), without `instant`) and try again.  A snapshot that cannot have the
 * memory it needs is given up: that is no error.  Sleeps.
 */
int hotsnap_change_prepare(struct hotsnap_memory *memory, struct hotsnap_change *change,
			   const struct folio *folio);
/* With the folio locked: from here on it may change. */
void hotsnap_change_apply(struct hotsnap_memory *memory, struct hotsnap_change *change,
			  struct folio *folio, bool writable);
/* Gives back what was not needed. */
void hotsnap_change_end(struct hotsnap_memory *memory, struct hotsnap_change *change);

/* A moment, in which the reader may make room.  Sleeps; returns early with a signal. */
void hotsnap_wait_for_room(void);

/* What a page holds, without making it exist.  -EIO from the source.  Sleeps. */
int hotsnap_memory_copy(struct hotsnap_memory *memory, pgoff_t index, struct page *to);
/* The same of the source, which may be shorter, or none. */
int hotsnap_source_copy(struct hotsnap_memory *memory, pgoff_t index, struct page *to);
pgoff_t hotsnap_source_pages(struct file *source);
/* Is there a source, and has the page not been punched since? */
bool hotsnap_page_in_source(struct hotsnap_memory *memory, pgoff_t index);

/* A folio, up to date and unlocked, with a reference.  Sleeps. */
struct folio *hotsnap_folio_make(struct hotsnap_memory *memory, pgoff_t index);

/* The first page from `index` on that is there, or `last`. */
pgoff_t hotsnap_next_folio(const struct hotsnap_memory *memory, pgoff_t index, pgoff_t last);
bool hotsnap_page_exists(const struct hotsnap_memory *memory, pgoff_t index);

/* file.c: writes zeroes into a page, if it is there.  -EINTR, -ENOMEM, -EIO. */
int hotsnap_zero(struct hotsnap_memory *memory, loff_t start, loff_t end);

/* ioctl.c */
long hotsnap_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
/* Of that snapshot, or (NULL) of the file's unfinished one. */
void hotsnap_memory_status(struct hotsnap_memory *memory, struct hotsnap_snapshot *snapshot,
			   struct hotsnap_status *status);

/* freeze.c */
int hotsnap_arm(struct hotsnap_memory *memory, struct hotsnap_arm *arm);
/* The snapshot's file, or why there is none; `freeze` is filled in but for the descriptor. */
struct file *hotsnap_freeze(struct file *file, struct hotsnap_freeze *freeze);
/* The snapshot ends so; false if it had ended already.  Under `control`. */
bool hotsnap_finish(struct hotsnap_snapshot *snapshot, enum hotsnap_state state);

/* punch.c: pages [first, last) vanish; also of a file that shrinks.  Under the inode's lock. */
int hotsnap_punch(struct hotsnap_memory *memory, pgoff_t first, pgoff_t last);

/* pages.c: the page cache's side */
extern const struct address_space_operations hotsnap_aops;
extern const struct vm_operations_struct hotsnap_vm_ops;

#endif
