/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the C tests of kvm-hotsnap share, beside TAP and random numbers: a file system of their
 * own, memory files and their snapshots, and pages whose content has a name.
 *
 * x() asserts success; __x() returns what a system call gives, or a negative errno.
 */
#ifndef HOTSNAP_TEST_H
#define HOTSNAP_TEST_H

#include "random.h"
#include "tap.h"

#include <errno.h>
#include <linux/hotsnap.h>
#include <string.h>
#include <sys/types.h>

#define PAGE	((u64)HOTSNAP_PAGE_SIZE)

/* What failed, as a negative errno, like the kernel's own functions. */
static inline long sys(long r)
{
	return r < 0 ? -errno : r;
}

/* The call has to fail with this errno. */
#define REFUSED(want, call)	hs_refused(want, call, __FILE__, __LINE__, #call)

void hs_refused(int want, long r, const char *file, int line, const char *call);

/* Somebody else makes it true, in a minute at most. */
#define WAIT_UNTIL(cond)							\
	do {									\
		unsigned int left__ = 60000;					\
										\
		while (!(cond)) {						\
			TEST_ASSERT(left__--, "waited in vain for " #cond);	\
			sleep_ms(1);						\
		}								\
	} while (0)

void sleep_ms(unsigned int ms);

/*
 * A mount namespace with an empty hotsnap file system at HOTSNAP_DIR, a folder of the working
 * directory; it goes with the process.  memory_new() makes one where there is none.
 */
#define HOTSNAP_DIR	"hotsnap.mnt"

void hotsnap_mount(const char *options);
int __hotsnap_mount(const char *options);
/* Becomes a user who may look at the file system, but is not root. */
void become_user(uid_t uid);

/* A file there, mapped shared. */
struct memory {
	int fd;
	u8 *map;
	u64 pages;
	char path[64];
};

/* New and empty; the buffer of its snapshots has room for all of it. */
void memory_new(struct memory *m, const char *name, u64 pages);
/* Another mapping. */
u8 *memory_map(const struct memory *m);

/* A page's content by its name; 0 is a page of zeroes. */
void page_fill(void *page, u64 name);
bool page_holds(const void *page, u64 name);
/* The first pages get the names first, first + 1... */
void memory_fill(const struct memory *m, u64 first, u64 nr);

/* As in hotsnap.h. */
int __hs_arm(int fd, u64 start, u64 len, u64 *armed);
u64 hs_arm(int fd, u64 start, u64 len);
int __hs_buffer(int fd, u64 limit, u32 policy, u32 wait_ms);
void hs_buffer(int fd, u64 limit, u32 policy, u32 wait_ms);
/* Sets the size, and leaves the rest of what goes in as it is. */
int __hs_freeze(int fd, struct hotsnap_freeze *freeze);
/* These return the snapshot. */
int hs_freeze(int fd);
int hs_freeze_since(int fd, u64 base);
int __hs_status(int fd, struct hotsnap_status *status);
struct hotsnap_status hs_status(int fd);
u64 hs_id(int fd);
int __hs_source(int fd, int source);
void hs_source(int fd, int source);
int __hs_cancel(int fd);
void hs_cancel(int fd);
int __hs_done(int snapshot, u64 start, u64 len);
void hs_done(int snapshot, u64 start, u64 len);
int __hs_commit(int snapshot);
void hs_commit(int snapshot);

/* A page of a file or snapshot, read. */
ssize_t __page_read(int fd, u64 page, void *buffer);
bool page_reads(int fd, u64 page, u64 name);
void page_write(int fd, u64 page, u64 name);
/* Do the first pages have the names first, first + 1...? */
void expect_pages(int fd, u64 first, u64 nr);
u8 *snapshot_map(int snapshot, u64 pages, int flags);
/* Ends at the snapshot's size; data[i] says whether page i is. */
void snapshot_data(int snapshot, bool *data, u64 pages);

void punch(int fd, u64 page, u64 nr);
void resize(int fd, u64 bytes);

/* Which signal reading or writing a byte raises; 0: none. */
int read_signal(const u8 *p);
int write_signal(u8 *p);

/* A process that ends with this one; it leaves with what the function returns. */
pid_t process_start(int (*run)(void *arg), void *arg);
/* Its exit status, or minus the signal that ended it. */
int process_end(pid_t pid);

#endif
