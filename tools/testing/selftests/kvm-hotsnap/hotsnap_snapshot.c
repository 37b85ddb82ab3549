// SPDX-License-Identifier: GPL-2.0-only
/*
 * A snapshot, from the freeze to its end: what it holds, who may do what with it, and what
 * it does to the memory file, which is nothing.
 */
#define _GNU_SOURCE
#include "hotsnap_test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	PAGES	= 64,
};

/* Pages 1, 2...; frozen. */
static int frozen(struct memory *m, u64 pages)
{
	memory_new(m, "file", pages);
	memory_fill(m, 1, pages);
	return hs_freeze(m->fd);
}

static void expect_mapped(const u8 *map, u64 first, u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++)
		TEST_ASSERT(page_holds(map + i * PAGE, first + i), "page %llu is wrong",
			    (unsigned long long)i);
}

/*
 * What it holds.
 */
static void content(void)
{
	struct memory m;
	u8 *shared, *private;
	int snapshot;

	snapshot = frozen(&m, PAGES);
	shared = snapshot_map(snapshot, PAGES, MAP_SHARED);
	private = snapshot_map(snapshot, PAGES, MAP_PRIVATE);
	/* The first half is mapped before it is written. */
	expect_mapped(shared, 1, PAGES / 2);
	expect_mapped(private, 1, PAGES / 2);
	memory_fill(&m, 1001, PAGES);
	expect_mapped(shared, 1, PAGES);
	expect_mapped(private, 1, PAGES);
	expect_pages(snapshot, 1, PAGES);
	expect_pages(m.fd, 1001, PAGES);
	memory_fill(&m, 2001, PAGES);
	expect_mapped(shared, 1, PAGES);
	expect_pages(snapshot, 1, PAGES);
	expect_mapped(m.map, 2001, PAGES);
}

/*
 * Ways to write a page.  Each says what the page holds then.
 */
static u64 by_store(struct memory *m, u64 page)
{
	page_fill(m->map + page * PAGE, 7001);
	return 7001;
}

static u64 by_other_mapping(struct memory *m, u64 page)
{
	u8 *other = memory_map(m);

	page_fill(other + page * PAGE, 7002);
	munmap(other, m->pages * PAGE);
	return 7002;
}

struct where {
	struct memory *m;
	u64 page;
};

static int store_there(void *arg)
{
	struct where *w = arg;
	u8 *map = memory_map(w->m);

	page_fill(map + w->page * PAGE, 7003);
	return 0;
}

static u64 by_other_process(struct memory *m, u64 page)
{
	struct where w = { m, page };

	TEST_ASSERT(!process_end(process_start(store_there, &w)), "the process");
	return 7003;
}

static int store_inherited(void *arg)
{
	struct where *w = arg;

	page_fill(w->m->map + w->page * PAGE, 7004);
	return 0;
}

static u64 by_inherited_mapping(struct memory *m, u64 page)
{
	struct where w = { m, page };

	TEST_ASSERT(!process_end(process_start(store_inherited, &w)), "the process");
	return 7004;
}

static u64 by_write(struct memory *m, u64 page)
{
	page_write(m->fd, page, 7005);
	return 7005;
}

static int memory_file_with(u64 name)
{
	int fd = memfd_create("source", 0);

	TEST_ASSERT(fd >= 0, "no memfd");
	page_write(fd, 0, name);
	return fd;
}

static u64 by_read(struct memory *m, u64 page)
{
	int fd = memory_file_with(7006);

	TEST_ASSERT(pread(fd, m->map + page * PAGE, PAGE, 0) == PAGE, "read into the mapping");
	close(fd);
	return 7006;
}

static u64 by_process_vm_writev(struct memory *m, u64 page)
{
	u8 buffer[PAGE];
	struct iovec from = { buffer, PAGE }, to = { m->map + page * PAGE, PAGE };

	page_fill(buffer, 7007);
	TEST_ASSERT(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == PAGE, "not written");
	return 7007;
}

static u64 by_proc_mem(struct memory *m, u64 page)
{
	int fd = open("/proc/self/mem", O_RDWR);
	u8 buffer[PAGE];

	page_fill(buffer, 7008);
	TEST_ASSERT(pwrite(fd, buffer, PAGE, (off_t)(m->map + page * PAGE)) == PAGE, "not written");
	close(fd);
	return 7008;
}

static u64 by_splice(struct memory *m, u64 page)
{
	int fd = memory_file_with(7009), pipes[2];
	loff_t to = page * PAGE, from = 0;
	ssize_t r;

	TEST_ASSERT(!pipe(pipes), "no pipe");
	TEST_ASSERT(splice(fd, &from, pipes[1], NULL, PAGE, 0) == PAGE, "not into the pipe");
	r = splice(pipes[0], NULL, m->fd, &to, PAGE, 0);
	/* A file system need not have it. */
	TEST_ASSERT(r == PAGE || (r < 0 && errno == EINVAL), "spliced %zd", r);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	return r == PAGE ? 7009 : page + 1;
}

static u64 by_hole(struct memory *m, u64 page)
{
	punch(m->fd, page, 1);
	return 0;
}

static u64 by_madvise(struct memory *m, u64 page)
{
	TEST_ASSERT(!madvise(m->map + page * PAGE, PAGE, MADV_REMOVE), "madvise");
	return 0;
}

static u64 by_hole_and_store(struct memory *m, u64 page)
{
	punch(m->fd, page, 1);
	page_fill(m->map + page * PAGE, 7010);
	return 7010;
}

static u64 by_hole_in_page(struct memory *m, u64 page)
{
	TEST_ASSERT(!fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE,
			       PAGE / 2), "first half");
	TEST_ASSERT(!fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       page * PAGE + PAGE / 2, PAGE / 2), "second half");
	return 0;
}

static u64 by_moved_mapping(struct memory *m, u64 page)
{
	u8 *old = memory_map(m), *new;

	page_fill(old, 1);
	new = mremap(old, m->pages * PAGE, m->pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     mmap(NULL, m->pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	TEST_ASSERT(new != MAP_FAILED, "not moved");
	page_fill(new + page * PAGE, 7011);
	munmap(new, m->pages * PAGE);
	return 7011;
}

/* The kernel makes an entry that it finds dirty writable again without a fault. */
static u64 by_mapping_made_writable(struct memory *m, u64 page)
{
	TEST_ASSERT(!mprotect(m->map, m->pages * PAGE, PROT_READ) &&
		    !mprotect(m->map, m->pages * PAGE, PROT_READ | PROT_WRITE), "mprotect");
	page_fill(m->map + page * PAGE, 7012);
	return 7012;
}

static const struct way {
	const char *name;
	u64 (*write)(struct memory *m, u64 page);
} ways[] = {
	{ "a store", by_store },
	{ "a store through another mapping", by_other_mapping },
	{ "a store by another process", by_other_process },
	{ "a store by a child", by_inherited_mapping },
	{ "write()", by_write },
	{ "read() into the mapping", by_read },
	{ "process_vm_writev()", by_process_vm_writev },
	{ "/proc/self/mem", by_proc_mem },
	{ "splice()", by_splice },
	{ "a hole", by_hole },
	{ "MADV_REMOVE", by_madvise },
	{ "a hole and a store", by_hole_and_store },
	{ "holes in a page", by_hole_in_page },
	{ "a store through a mapping that moves", by_moved_mapping },
	{ "a store through a mapping that becomes writable again", by_mapping_made_writable },
};

static void try_way(const struct way *way, bool armed)
{
	struct memory m;
	u64 page = 5, now;
	int snapshot;

	memory_new(&m, "file", 8);
	memory_fill(&m, 1, 8);
	if (armed)
		hs_arm(m.fd, 0, 8 * PAGE);
	snapshot = hs_freeze(m.fd);
	now = way->write(&m, page);
	TEST_ASSERT(page_reads(m.fd, page, now), "%s: the memory", way->name);
	TEST_ASSERT(page_reads(snapshot, page, page + 1), "%s: the snapshot", way->name);
	now = way->write(&m, page);
	TEST_ASSERT(page_reads(m.fd, page, now), "%s again: the memory", way->name);
	expect_pages(snapshot, 1, 8);
	hs_cancel(snapshot);
	close(snapshot);
	now = way->write(&m, page);
	TEST_ASSERT(page_reads(m.fd, page, now), "%s after the snapshot", way->name);
	munmap(m.map, 8 * PAGE);
	close(m.fd);
}

static void ways_to_write(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		try_way(&ways[i], false);
		try_way(&ways[i], true);
	}
}

static void empty_pages(void)
{
	struct memory m;
	bool data[PAGES];
	int snapshot;
	u8 *map;

	memory_new(&m, "file", PAGES);
	page_fill(m.map + 3 * PAGE, 3);
	snapshot = hs_freeze(m.fd);
	map = snapshot_map(snapshot, PAGES, MAP_SHARED);
	TEST_ASSERT(page_holds(map + 10 * PAGE, 0), "an empty page");
	page_fill(m.map + 10 * PAGE, 10);
	page_write(m.fd, 11, 11);
	TEST_ASSERT(!fallocate(m.fd, 0, 12 * PAGE, PAGE), "fallocate");
	page_fill(m.map + 12 * PAGE, 12);
	punch(m.fd, 13, 1);
	page_fill(m.map + 13 * PAGE, 13);
	TEST_ASSERT(page_holds(map + 10 * PAGE, 0) && page_holds(map + 11 * PAGE, 0) &&
		    page_holds(map + 12 * PAGE, 0), "the snapshot's mapping shows what is new");
	TEST_ASSERT(page_reads(snapshot, 10, 0) && page_reads(snapshot, 11, 0) &&
		    page_reads(snapshot, 12, 0) && page_reads(snapshot, 13, 0),
		    "the snapshot shows what is new");
	snapshot_data(snapshot, data, PAGES);
	TEST_ASSERT(data[3] && !data[10] && !data[11] && !data[12] && !data[13],
		    "what is new is data");
	TEST_ASSERT(page_reads(m.fd, 10, 10) && page_reads(m.fd, 11, 11) &&
		    page_reads(m.fd, 12, 12) && page_reads(m.fd, 13, 13), "the memory");
}

static void any_range(void)
{
	static u8 image[PAGES * PAGE], buffer[PAGES * PAGE];
	struct memory m;
	struct rng rng;
	u64 size = PAGES * PAGE - 1234, start, len, want;
	int snapshot, i;

	rng_init(&rng, test_seed("SEED"));
	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	punch(m.fd, 20, 5);
	resize(m.fd, size);
	TEST_ASSERT(pread(m.fd, image, sizeof(image), 0) == size, "image");
	snapshot = hs_freeze(m.fd);
	for (i = 0; i < PAGES; i += 3)
		page_fill(m.map + i * PAGE, 1000 + i);
	for (i = 0; i < 1000; i++) {
		start = rng_below(&rng, PAGES * PAGE);
		len = rng_below(&rng, rng_chance(&rng, 50) ? 100 : 5 * PAGE);
		want = start >= size ? 0 : len < size - start ? len : size - start;
		TEST_ASSERT(pread(snapshot, buffer, len, start) == want &&
			    !memcmp(buffer, image + start, want), "%llu bytes at %llu",
			    (unsigned long long)len, (unsigned long long)start);
	}
}

static void any_order(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	u8 buffer[PAGE];

	TEST_ASSERT(lseek(snapshot, 0, SEEK_END) == PAGES * PAGE, "the end");
	TEST_ASSERT(lseek(snapshot, -3 * PAGE, SEEK_CUR) == (PAGES - 3) * PAGE, "back");
	TEST_ASSERT(read(snapshot, buffer, PAGE) == PAGE && page_holds(buffer, PAGES - 2), "read");
	TEST_ASSERT(read(snapshot, buffer, PAGE) == PAGE && page_holds(buffer, PAGES - 1), "read");
	TEST_ASSERT(lseek(snapshot, 0, SEEK_SET) == 0, "start");
	TEST_ASSERT(read(snapshot, buffer, PAGE) == PAGE && page_holds(buffer, 1), "read");
	REFUSED(EINVAL, sys(lseek(snapshot, -1, SEEK_SET)));
}

static void size_then(void)
{
	struct memory m;
	u8 *buffer = malloc(2 * PAGE);
	int snapshot;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	resize(m.fd, 20 * PAGE + 10);
	snapshot = hs_freeze(m.fd);
	resize(m.fd, 2 * PAGES * PAGE);
	page_fill(m.map + 20 * PAGE, 99);
	page_fill(m.map + 21 * PAGE, 99);
	TEST_ASSERT(pread(snapshot, buffer, 2 * PAGE, 20 * PAGE) == 10, "its end, of a file grown");
	TEST_ASSERT(!pread(snapshot, buffer, PAGE, 21 * PAGE), "behind the end");
	resize(m.fd, 5 * PAGE);
	expect_pages(snapshot, 1, 20);
	TEST_ASSERT(pread(snapshot, buffer, PAGE, 20 * PAGE) == 10, "its end, of a file shrunk");
	resize(m.fd, 30 * PAGE);
	memory_fill(&m, 501, 30);
	expect_pages(snapshot, 1, 20);
	TEST_ASSERT(lseek(snapshot, 0, SEEK_END) == 20 * PAGE + 10, "SEEK_END");
}

static void no_size(void)
{
	struct memory m;
	u8 buffer[PAGE];
	int snapshot;

	memory_new(&m, "file", 4);
	resize(m.fd, 0);
	snapshot = hs_freeze(m.fd);
	resize(m.fd, 4 * PAGE);
	memory_fill(&m, 1, 4);
	TEST_ASSERT(!__page_read(snapshot, 0, buffer), "content");
	REFUSED(ENXIO, sys(lseek(snapshot, 0, SEEK_DATA)));
	hs_commit(snapshot);
}

static void statted(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	struct stat st;

	resize(m.fd, PAGE);
	TEST_ASSERT(!fstat(snapshot, &st), "fstat");
	TEST_ASSERT(S_ISREG(st.st_mode), "mode %o", st.st_mode);
	TEST_ASSERT(st.st_size == PAGES * PAGE, "size %lld", (long long)st.st_size);
	TEST_ASSERT(!(st.st_mode & 0222), "mode %o", st.st_mode);
}

static void data_and_holes(void)
{
	struct memory m;
	int snapshot;
	bool data[PAGES];
	unsigned int i;

	memory_new(&m, "file", PAGES);
	page_fill(m.map + 3 * PAGE, 3);
	for (i = 7; i < 10; i++)
		page_fill(m.map + i * PAGE, i);
	page_fill(m.map + 20 * PAGE, 20);
	punch(m.fd, 20, 1);
	snapshot = hs_freeze(m.fd);
	/* Neither holes nor stores afterwards make a difference. */
	punch(m.fd, 8, 1);
	page_fill(m.map + 5 * PAGE, 5);
	snapshot_data(snapshot, data, PAGES);
	for (i = 0; i < PAGES; i++)
		TEST_ASSERT(data[i] == (i == 3 || (i >= 7 && i < 10)), "page %u", i);
	TEST_ASSERT(lseek(snapshot, 100, SEEK_HOLE) == 100, "a hole from within");
	TEST_ASSERT(lseek(snapshot, 3 * PAGE + 7, SEEK_DATA) == 3 * PAGE + 7, "data from within");
	TEST_ASSERT(lseek(snapshot, 8 * PAGE, SEEK_HOLE) == 10 * PAGE, "the next hole");
	TEST_ASSERT(lseek(snapshot, 4 * PAGE, SEEK_DATA) == 7 * PAGE, "the next data");
	REFUSED(ENXIO, sys(lseek(snapshot, 10 * PAGE, SEEK_DATA)));
	REFUSED(ENXIO, sys(lseek(snapshot, PAGES * PAGE, SEEK_HOLE)));
	TEST_ASSERT(page_reads(snapshot, 8, 8) && page_reads(snapshot, 5, 0), "content");
}

static void last_hole(void)
{
	struct memory m;
	int snapshot;

	memory_new(&m, "file", 8);
	memory_fill(&m, 1, 8);
	resize(m.fd, 7 * PAGE + 5);
	snapshot = hs_freeze(m.fd);
	TEST_ASSERT(lseek(snapshot, 0, SEEK_DATA) == 0, "data");
	TEST_ASSERT(lseek(snapshot, 0, SEEK_HOLE) == 7 * PAGE + 5, "the hole is the end");
	REFUSED(ENXIO, sys(lseek(snapshot, 7 * PAGE + 5, SEEK_DATA)));
}

static void sent(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES), fd = memfd_create("copy", 0);
	off_t from = 0;
	ssize_t r;

	memory_fill(&m, 1001, PAGES);
	while (from < PAGES * PAGE) {
		r = sendfile(fd, snapshot, &from, PAGES * PAGE - from);
		if (r < 0 && errno == EINVAL)
			tap_skip("a snapshot cannot be spliced here");
		TEST_ASSERT(r > 0, "sendfile: %zd", r);
	}
	expect_pages(fd, 1, PAGES);
}

/* The reader copies a page, and the copy is a write: to the same page. */
static void restored_in_place(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	unsigned int i;

	memory_fill(&m, 1001, PAGES / 2);
	for (i = 0; i < PAGES; i++)
		TEST_ASSERT(pread(snapshot, m.map + i * PAGE, PAGE, i * PAGE) == PAGE,
			    "page %u", i);
	expect_pages(m.fd, 1, PAGES);
	hs_commit(snapshot);
	snapshot = hs_freeze(m.fd);
	TEST_ASSERT(pread(snapshot, m.map, (PAGES - 1) * PAGE, PAGE) == (PAGES - 1) * PAGE,
		    "moved by a page");
	expect_pages(m.fd, 2, PAGES - 1);
}

static void written_from_itself(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	u8 *map = snapshot_map(snapshot, PAGES, MAP_SHARED);

	TEST_ASSERT(pwrite(m.fd, m.map + 3 * PAGE, PAGE, 3 * PAGE) == PAGE, "the same page");
	TEST_ASSERT(pwrite(m.fd, m.map + 4 * PAGE, PAGE, 5 * PAGE) == PAGE, "the next page");
	TEST_ASSERT(pread(m.fd, m.map + 6 * PAGE, PAGE, 6 * PAGE) == PAGE, "read in place");
	TEST_ASSERT(pwrite(m.fd, map + 10 * PAGE, PAGE, 11 * PAGE) == PAGE, "from the snapshot");
	TEST_ASSERT(page_reads(m.fd, 3, 4) && page_reads(m.fd, 5, 5) && page_reads(m.fd, 6, 7) &&
		    page_reads(m.fd, 11, 11), "the memory");
	expect_pages(snapshot, 1, PAGES);
}

/* Pages move to other places in memory, their content and its protection with them. */
static void moved_pages(void)
{
	struct memory m;
	int snapshot = frozen(&m, 1024), fd;

	fd = open("/proc/sys/vm/compact_memory", O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		tap_skip("memory cannot be compacted here");
	memory_fill(&m, 5001, 512);
	TEST_ASSERT(write(fd, "1", 1) == 1, "compact");
	memory_fill(&m, 6001, 1024);
	expect_pages(snapshot, 1, 1024);
	expect_pages(m.fd, 6001, 1024);
}

/*
 * Who may do what.
 */
static void never_written(void)
{
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	unsigned int i;
	u8 *map;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags[i], snapshot, 0);
		TEST_ASSERT(map == MAP_FAILED && (errno == EACCES || errno == EINVAL), "mapped");
		map = snapshot_map(snapshot, PAGES, flags[i]);
		REFUSED(EACCES, sys(mprotect(map, PAGE, PROT_READ | PROT_WRITE)));
		TEST_ASSERT(write_signal(map) == SIGSEGV, "a store succeeds");
	}
	REFUSED(EBADF, sys(pwrite(snapshot, "x", 1, 0)));
	TEST_ASSERT(ftruncate(snapshot, 0) && fallocate(snapshot, 0, 0, PAGE), "resized");
	TEST_ASSERT((fcntl(snapshot, F_GETFL) & O_ACCMODE) == O_RDONLY, "its flags");
	TEST_ASSERT(fcntl(snapshot, F_GETFD) & FD_CLOEXEC, "not close on exec");
	expect_pages(snapshot, 1, PAGES);
}

static void mapped_behind_the_end(void)
{
	struct memory m;
	int snapshot = frozen(&m, 8);
	u8 *map = snapshot_map(snapshot, 16, MAP_SHARED);

	resize(m.fd, 16 * PAGE);
	TEST_ASSERT(!read_signal(map + 7 * PAGE), "the last page");
	TEST_ASSERT(read_signal(map + 8 * PAGE) == SIGBUS, "a page behind the end");
}

static void only_one(void)
{
	struct hotsnap_freeze freeze = { .pinned = 77 };
	struct memory m, other;
	int snapshot = frozen(&m, PAGES), others;

	REFUSED(EBUSY, __hs_freeze(m.fd, &freeze));
	TEST_ASSERT(!freeze.pinned, "%llu pages are pinned", freeze.pinned);
	memory_new(&other, "other", 4);
	memory_fill(&other, 1001, 4);
	others = hs_freeze(other.fd);
	expect_pages(others, 1001, 4);
	expect_pages(snapshot, 1, PAGES);
	hs_commit(snapshot);
	close(hs_freeze(m.fd));
	hs_cancel(hs_freeze(m.fd));
	hs_freeze(m.fd);
	hs_cancel(m.fd);
	hs_commit(hs_freeze(m.fd));
	REFUSED(EBUSY, __hs_freeze(other.fd, &freeze));
	expect_pages(others, 1001, 4);
}

static void ids_grow(void)
{
	struct hotsnap_freeze freeze;
	struct memory m;
	u64 last = 0;
	int i;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES / 2);
	for (i = 0; i < 10; i++) {
		memset(&freeze, 0, sizeof(freeze));
		TEST_ASSERT(!__hs_freeze(m.fd, &freeze), "freeze");
		TEST_ASSERT(freeze.id > last, "id %llu after %llu", freeze.id,
			    (unsigned long long)last);
		last = freeze.id;
		TEST_ASSERT(hs_id(freeze.fd) == last && hs_id(m.fd) == last, "ids");
		TEST_ASSERT(freeze.pages == PAGES / 2, "%llu pages", freeze.pages);
		TEST_ASSERT(freeze.armed == (i ? 1 : PAGES / 2), "%llu armed", freeze.armed);
		if (i % 2)
			hs_commit(freeze.fd);
		close(freeze.fd);
		m.map[0]++;
	}
}

static void armed(void)
{
	struct memory m;
	u8 *other;

	memory_new(&m, "file", PAGES);
	TEST_ASSERT(!hs_arm(m.fd, 0, PAGES * PAGE), "pages of an empty file");
	memory_fill(&m, 1, 20);
	/* What is only read is not writable. */
	TEST_ASSERT(page_holds(m.map + 30 * PAGE, 0), "an empty page");
	TEST_ASSERT(hs_status(m.fd).writable == 20, "%llu are writable", hs_status(m.fd).writable);
	TEST_ASSERT(hs_arm(m.fd, 0, 5 * PAGE) == 5, "the first five");
	TEST_ASSERT(hs_arm(m.fd, 0, PAGES * PAGE) == 15, "the others");
	TEST_ASSERT(!hs_arm(m.fd, 0, PAGES * PAGE), "again");
	TEST_ASSERT(!hs_status(m.fd).writable, "writable");
	other = memory_map(&m);
	m.map[2 * PAGE]++;
	other[2 * PAGE]++;
	other[3 * PAGE]++;
	TEST_ASSERT(hs_status(m.fd).writable == 2, "%llu are writable", hs_status(m.fd).writable);
	TEST_ASSERT(hs_arm(m.fd, 2 * PAGE, PAGE) == 1, "of two mappings");
	m.map[PAGE]++;
	close(hs_freeze(m.fd));
	TEST_ASSERT(!hs_status(m.fd).writable, "writable after a freeze");
	m.map[PAGE]++;
	TEST_ASSERT(hs_status(m.fd).writable == 1, "%llu are writable", hs_status(m.fd).writable);
}

static void arming_changes_nothing(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);

	memory_fill(&m, 1001, PAGES / 2);
	hs_arm(m.fd, 0, PAGES * PAGE);
	memory_fill(&m, 2001, PAGES);
	expect_pages(snapshot, 1, PAGES);
	expect_pages(m.fd, 2001, PAGES);
	TEST_ASSERT(hs_status(m.fd).saved[HOTSNAP_WRITER_DMA] == PAGES, "pages saved twice");
}

/*
 * Its end.
 */
static void expect_end(const struct memory *m, int snapshot, u32 state)
{
	struct hotsnap_status s;
	u8 buffer[PAGE];

	if (snapshot >= 0) {
		REFUSED(state == HOTSNAP_STATE_COMMITTED ? ENODATA : ECANCELED,
			__page_read(snapshot, 1, buffer));
		TEST_ASSERT(hs_status(snapshot).state == state, "state %u",
			    hs_status(snapshot).state);
		TEST_ASSERT(!hs_status(snapshot).buffer_used, "the snapshot has a buffer");
	}
	s = hs_status(m->fd);
	TEST_ASSERT(s.state == state || (snapshot < 0 && s.state == HOTSNAP_STATE_NONE),
		    "state %u of the file", s.state);
	TEST_ASSERT(!s.buffer_used, "%llu bytes in the buffer", s.buffer_used);
}

static void written_then(struct memory *m, int *snapshot)
{
	*snapshot = frozen(m, PAGES);
	memory_fill(m, 1001, PAGES / 4);
	TEST_ASSERT(hs_status(m->fd).buffer_used == PAGES / 4 * PAGE, "%llu bytes in the buffer",
		    hs_status(m->fd).buffer_used);
	TEST_ASSERT(hs_status(m->fd).state == HOTSNAP_STATE_FROZEN &&
		    hs_status(*snapshot).state == HOTSNAP_STATE_FROZEN, "not frozen");
}

static void committed(void)
{
	struct memory m;
	int snapshot;
	u64 id;

	written_then(&m, &snapshot);
	TEST_ASSERT(!hs_status(m.fd).base, "a base");
	id = hs_id(snapshot);
	hs_commit(snapshot);
	expect_end(&m, snapshot, HOTSNAP_STATE_COMMITTED);
	TEST_ASSERT(hs_status(m.fd).base == id, "base %llu", hs_status(m.fd).base);
	memory_fill(&m, 2001, PAGES);
	expect_end(&m, snapshot, HOTSNAP_STATE_COMMITTED);
	close(snapshot);
	snapshot = hs_freeze(m.fd);
	expect_pages(snapshot, 2001, PAGES);
}

static void two_sides(void)
{
	struct memory m;
	int snapshot;

	written_then(&m, &snapshot);
	hs_cancel(snapshot);
	expect_end(&m, snapshot, HOTSNAP_STATE_CANCELLED);
	TEST_ASSERT(!hs_status(m.fd).base, "a base");
	close(snapshot);
	snapshot = hs_freeze(m.fd);
	hs_cancel(m.fd);
	expect_end(&m, snapshot, HOTSNAP_STATE_CANCELLED);
	memory_fill(&m, 2001, PAGES);
	expect_pages(hs_freeze(m.fd), 2001, PAGES);
	/* The old one has no say any more. */
	close(snapshot);
	TEST_ASSERT(hs_status(m.fd).state == HOTSNAP_STATE_FROZEN, "the wrong one was cancelled");
}

static void closed(void)
{
	struct memory m;
	int snapshot;

	written_then(&m, &snapshot);
	close(snapshot);
	expect_end(&m, -1, HOTSNAP_STATE_CANCELLED);
	memory_fill(&m, 2001, PAGES);
	snapshot = hs_freeze(m.fd);
	expect_pages(snapshot, 2001, PAGES);
}

static void still_referenced(void)
{
	struct hotsnap_freeze freeze = { 0 };
	struct memory m;
	int snapshot, copy;
	u8 *map;

	written_then(&m, &snapshot);
	copy = dup(snapshot);
	close(snapshot);
	expect_pages(copy, 1, PAGES);
	map = snapshot_map(copy, PAGES, MAP_SHARED);
	close(copy);
	expect_mapped(map, 1, PAGES);
	REFUSED(EBUSY, __hs_freeze(m.fd, &freeze));
	munmap(map, PAGES * PAGE);
	expect_end(&m, -1, HOTSNAP_STATE_CANCELLED);
	close(hs_freeze(m.fd));
}

static int dies_reading(void *arg)
{
	struct memory *m = arg;
	int snapshot = hs_freeze(m->fd);

	TEST_ASSERT(page_reads(snapshot, 0, 1), "content");
	raise(SIGKILL);
	return 0;
}

static void reader_dies(void)
{
	struct memory m;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	TEST_ASSERT(process_end(process_start(dies_reading, &m)) == -SIGKILL, "not killed");
	expect_end(&m, -1, HOTSNAP_STATE_CANCELLED);
	memory_fill(&m, 1001, PAGES);
	expect_pages(hs_freeze(m.fd), 1001, PAGES);
}

static void ended_twice(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	u64 id = hs_id(snapshot);

	hs_commit(snapshot);
	TEST_ASSERT(__hs_commit(snapshot), "committed twice");
	TEST_ASSERT(__hs_done(snapshot, 0, PAGE), "done after the commit");
	__hs_cancel(snapshot);
	TEST_ASSERT(hs_status(snapshot).state == HOTSNAP_STATE_COMMITTED, "state");
	TEST_ASSERT(hs_status(m.fd).base == id, "a cancel takes back a commit");
	snapshot = hs_freeze(m.fd);
	hs_cancel(snapshot);
	TEST_ASSERT(__hs_commit(snapshot), "committed, though cancelled");
	TEST_ASSERT(hs_status(m.fd).base == id, "it became the base");
}

static void file_closed_first(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);

	close(m.fd);
	memory_fill(&m, 1001, PAGES);
	munmap(m.map, PAGES * PAGE);
	expect_pages(snapshot, 1, PAGES);
	m.fd = open(m.path, O_RDWR);
	expect_pages(m.fd, 1001, PAGES);
	TEST_ASSERT(hs_status(m.fd).state == HOTSNAP_STATE_FROZEN, "state");
	hs_commit(snapshot);
}

/*
 * DONE.
 */
static void done_ranges(void)
{
	struct memory m;
	int snapshot;
	u8 buffer[PAGE];
	u64 saved, i;

	written_then(&m, &snapshot);
	hs_done(snapshot, 0, 10 * PAGE);
	hs_done(snapshot, 30 * PAGE, 10 * PAGE);
	TEST_ASSERT(hs_status(m.fd).buffer_used == (PAGES / 4 - 10) * PAGE, "%llu bytes",
		    hs_status(m.fd).buffer_used);
	saved = hs_status(m.fd).saved[HOTSNAP_WRITER_DMA];
	for (i = 30; i < 40; i++)
		page_fill(m.map + i * PAGE, 2000);
	memory_fill(&m, 3001, 10);
	TEST_ASSERT(hs_status(m.fd).saved[HOTSNAP_WRITER_DMA] == saved, "pages were saved");
	for (i = 0; i < PAGES; i++) {
		if (i < 10 || (i >= 30 && i < 40))
			REFUSED(ENODATA, __page_read(snapshot, i, buffer));
		else
			TEST_ASSERT(page_reads(snapshot, i, i + 1), "page %llu",
				    (unsigned long long)i);
	}
	hs_done(snapshot, 0, PAGES * PAGE);
	TEST_ASSERT(!hs_status(m.fd).buffer_used, "bytes in the buffer");
	TEST_ASSERT(hs_status(m.fd).state == HOTSNAP_STATE_FROZEN, "DONE is no COMMIT");
	hs_commit(snapshot);
}

static void done_and_read_across(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	u8 *buffer = malloc(8 * PAGE);
	ssize_t r;

	hs_done(snapshot, 4 * PAGE, 2 * PAGE);
	r = pread(snapshot, buffer, 8 * PAGE, 0);
	TEST_ASSERT(r == 4 * PAGE || (r < 0 && errno == ENODATA), "%zd bytes", r);
	TEST_ASSERT(r < 0 || (page_holds(buffer, 1) && page_holds(buffer + 3 * PAGE, 4)),
		    "content");
}

static void done_and_mapped(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	u8 *map = snapshot_map(snapshot, PAGES, MAP_SHARED);

	memory_fill(&m, 1001, 4);
	hs_done(snapshot, 0, 8 * PAGE);
	TEST_ASSERT(read_signal(map + 2 * PAGE) == SIGBUS, "a page that was written");
	TEST_ASSERT(read_signal(map + 6 * PAGE) == SIGBUS, "a page that was not");
	TEST_ASSERT(page_holds(map + 8 * PAGE, 9), "the next page");
	hs_commit(snapshot);
	TEST_ASSERT(read_signal(map + 9 * PAGE) == SIGBUS, "a page after the commit");
}

static void done_again(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	u8 buffer[PAGE];

	hs_done(snapshot, 2 * PAGE, 4 * PAGE);
	hs_done(snapshot, 4 * PAGE, 4 * PAGE);
	hs_done(snapshot, 2 * PAGE, 4 * PAGE);
	REFUSED(ENODATA, __page_read(snapshot, 7, buffer));
	TEST_ASSERT(page_reads(snapshot, 8, 9) && page_reads(snapshot, 1, 2), "the neighbours");
}

/*
 * poll().
 */
static short polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	TEST_ASSERT(poll(&p, 1, 0) >= 0, "poll");
	return p.revents;
}

static void *poll_for_error(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg };

	TEST_ASSERT(poll(&p, 1, -1) == 1 && p.revents & POLLERR, "events %#x", p.revents);
	return NULL;
}

static void poll_events(void)
{
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	pthread_t thread;

	TEST_ASSERT(!(polled(snapshot) & POLLERR), "an error while all is well");
	pthread_create(&thread, NULL, poll_for_error, &snapshot);
	sleep_ms(20);
	hs_cancel(m.fd);
	pthread_join(thread, NULL);
	TEST_ASSERT(polled(snapshot) & POLLERR, "no error when cancelled");
}

static void poll_abort(void)
{
	struct memory m;
	pthread_t thread;
	int snapshot;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	hs_buffer(m.fd, 2 * PAGE, HOTSNAP_POLICY_ABORT, 0);
	snapshot = hs_freeze(m.fd);
	pthread_create(&thread, NULL, poll_for_error, &snapshot);
	sleep_ms(20);
	memory_fill(&m, 1001, PAGES);
	pthread_join(thread, NULL);
	TEST_ASSERT(polled(snapshot) & POLLERR, "no error when aborted");
}

/*
 * What is wrong.
 */
static void wrong_freezes(void)
{
	struct hotsnap_freeze freeze = { .size = sizeof(freeze) }, f;
	struct memory m;

	memory_new(&m, "file", PAGES);
	f = freeze;
	f.size--;
	REFUSED(EINVAL, sys(ioctl(m.fd, HOTSNAP_IOC_FREEZE, &f)));
	f = freeze;
	f.size += 8;
	REFUSED(EINVAL, sys(ioctl(m.fd, HOTSNAP_IOC_FREEZE, &f)));
	f = freeze;
	f.flags = HOTSNAP_FREEZE_FLAGS + 1;
	REFUSED(EINVAL, sys(ioctl(m.fd, HOTSNAP_IOC_FREEZE, &f)));
	f = freeze;
	f.flags = 1U << 31;
	REFUSED(EINVAL, sys(ioctl(m.fd, HOTSNAP_IOC_FREEZE, &f)));
	f = freeze;
	f.reserved = 1;
	REFUSED(EINVAL, sys(ioctl(m.fd, HOTSNAP_IOC_FREEZE, &f)));
	REFUSED(EFAULT, sys(ioctl(m.fd, HOTSNAP_IOC_FREEZE, NULL)));
	close(hs_freeze(m.fd));
}

static void wrong_ranges(void)
{
	static const struct hotsnap_range wrong[] = {
		{ 1, PAGE }, { PAGE, PAGE + 1 }, { PAGE / 2, PAGE / 2 }, { PAGES * PAGE, PAGE },
		{ 0, (PAGES + 1) * PAGE }, { -PAGE, 2 * PAGE }, { PAGE, -PAGE },
		{ PAGE, 1ULL << 63 },
	};
	struct memory m;
	int snapshot = frozen(&m, PAGES);
	unsigned int i;
	u64 armed;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		REFUSED(EINVAL, __hs_arm(m.fd, wrong[i].start, wrong[i].len, &armed));
		REFUSED(EINVAL, __hs_done(snapshot, wrong[i].start, wrong[i].len));
	}
	expect_pages(snapshot, 1, PAGES);
	/* The ranges of a snapshot are those of its own size. */
	resize(m.fd, 2 * PAGES * PAGE);
	REFUSED(EINVAL, __hs_done(snapshot, 0, 2 * PAGES * PAGE));
	resize(m.fd, PAGE);
	hs_done(snapshot, 0, PAGES * PAGE);
}

static void wrong_arguments(void)
{
	struct hotsnap_status status = { .size = sizeof(status) + 1 };
	struct memory m;

	memory_new(&m, "file", PAGES);
	REFUSED(EINVAL, sys(ioctl(m.fd, HOTSNAP_IOC_STATUS, &status)));
	status.size = 0;
	REFUSED(EINVAL, sys(ioctl(m.fd, HOTSNAP_IOC_STATUS, &status)));
	REFUSED(EINVAL, __hs_buffer(m.fd, 0, HOTSNAP_POLICY_WAIT + 1, 0));
	REFUSED(EFAULT, sys(ioctl(m.fd, HOTSNAP_IOC_STATUS, NULL)));
	REFUSED(EFAULT, sys(ioctl(m.fd, HOTSNAP_IOC_BUFFER, NULL)));
	REFUSED(EFAULT, sys(ioctl(m.fd, HOTSNAP_IOC_ARM, NULL)));
	REFUSED(EFAULT, sys(ioctl(m.fd, HOTSNAP_IOC_SOURCE, NULL)));
	REFUSED(ENOTTY, sys(ioctl(m.fd, _IO(HOTSNAP_IOC_MAGIC, 99))));
	REFUSED(ENOTTY, sys(ioctl(m.fd, _IO(HOTSNAP_IOC_MAGIC, 3))));
}

static void wrong_files(void)
{
	struct hotsnap_freeze freeze = { 0 };
	struct hotsnap_status status;
	struct memory m;
	int snapshot = frozen(&m, PAGES), folder = open(HOTSNAP_DIR, O_RDONLY);
	u64 armed;

	REFUSED(ENOTTY, __hs_done(m.fd, 0, PAGE));
	REFUSED(ENOTTY, __hs_commit(m.fd));
	REFUSED(ENOTTY, __hs_arm(snapshot, 0, PAGE, &armed));
	REFUSED(ENOTTY, __hs_freeze(snapshot, &freeze));
	REFUSED(ENOTTY, __hs_buffer(snapshot, 0, 0, 0));
	REFUSED(ENOTTY, __hs_source(snapshot, -1));
	REFUSED(ENOTTY, __hs_freeze(folder, &freeze));
	REFUSED(ENOTTY, __hs_status(folder, &status));
	expect_pages(snapshot, 1, PAGES);
}

/* A snapshot that nobody has a descriptor of must not stay. */
static void no_descriptor(void)
{
	struct hotsnap_freeze *freeze, ok = { 0 };
	struct rlimit limit = { .rlim_cur = 3, .rlim_max = 1024 };
	struct memory m;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	TEST_ASSERT(!setrlimit(RLIMIT_NOFILE, &limit), "rlimit");
	REFUSED(EMFILE, __hs_freeze(m.fd, &ok));
	limit.rlim_cur = 1024;
	TEST_ASSERT(!setrlimit(RLIMIT_NOFILE, &limit), "rlimit");
	freeze = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	freeze->size = sizeof(*freeze);
	TEST_ASSERT(!mprotect(freeze, PAGE, PROT_READ), "mprotect");
	REFUSED(EFAULT, sys(ioctl(m.fd, HOTSNAP_IOC_FREEZE, freeze)));
	expect_end(&m, -1, HOTSNAP_STATE_CANCELLED);
	memory_fill(&m, 1001, PAGES);
	expect_pages(hs_freeze(m.fd), 1001, PAGES);
}

/* The system call of a 32-bit program; its pointer has to lie low. */
static int ioctl32(int fd, unsigned int command, void *arg)
{
	int r;

	asm volatile("int $0x80" : "=a" (r) : "a" (54), "b" (fd), "c" (command), "d" (arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return r;
}

static int has_ioctl32(void *arg)
{
	ioctl32(*(int *)arg, HOTSNAP_IOC_CANCEL, NULL);
	return 0;
}

static void program_of_32_bits(void)
{
	struct hotsnap_status *status;
	struct hotsnap_freeze *freeze;
	struct hotsnap_range *range;
	struct memory m;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	/* Where the kernel has no such entry, it is a fault. */
	if (process_end(process_start(has_ioctl32, &m.fd)))
		tap_skip("no 32-bit system calls here");
	freeze = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		      -1, 0);
	status = (void *)(freeze + 1);
	range = (void *)(status + 1);
	freeze->size = sizeof(*freeze);
	TEST_ASSERT(!ioctl32(m.fd, HOTSNAP_IOC_FREEZE, freeze), "freeze");
	memory_fill(&m, 1001, 10);
	expect_pages(freeze->fd, 1, PAGES);
	status->size = sizeof(*status);
	TEST_ASSERT(!ioctl32(freeze->fd, HOTSNAP_IOC_STATUS, status), "status");
	TEST_ASSERT(status->id == freeze->id && status->buffer_used == 10 * PAGE, "its content");
	range->start = 0;
	range->len = PAGES * PAGE;
	TEST_ASSERT(!ioctl32(freeze->fd, HOTSNAP_IOC_DONE, range), "done");
	TEST_ASSERT(!ioctl32(freeze->fd, HOTSNAP_IOC_COMMIT, NULL), "commit");
}

/*
 * Another process, with nothing of this one but the path.
 */
static int freezes_and_reads(void *arg)
{
	struct memory *m = arg;
	int fd = open(m->path, O_RDWR), snapshot = hs_freeze(fd), i;

	for (i = 0; i < 50; i++) {
		expect_pages(snapshot, 1, PAGES);
		sleep_ms(1);
	}
	hs_commit(snapshot);
	return 0;
}

static void another_process(void)
{
	struct memory m;
	pid_t pid;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES);
	pid = process_start(freezes_and_reads, &m);
	WAIT_UNTIL(hs_status(m.fd).state == HOTSNAP_STATE_FROZEN);
	memory_fill(&m, 1001, PAGES);
	TEST_ASSERT(!process_end(pid), "the reader");
	TEST_ASSERT(hs_status(m.fd).state == HOTSNAP_STATE_COMMITTED, "not committed");
	expect_pages(m.fd, 1001, PAGES);
}

static const struct tap_case cases[] = {
	{ "a snapshot holds what the memory was, however it is read", content },
	{ "every way to write leaves the snapshot as it is, and succeeds", ways_to_write },
	{ "pages that were empty stay so in the snapshot", empty_pages },
	{ "any range of bytes can be read", any_range },
	{ "a snapshot is read from anywhere, as a file", any_order },
	{ "a snapshot has the size that the file had", size_then },
	{ "a file without content can be frozen", no_size },
	{ "a snapshot is a regular file to fstat", statted },
	{ "empty pages are holes", data_and_holes },
	{ "behind the last data there is a hole, the end", last_hole },
	{ "sendfile takes a snapshot", sent },
	{ "memory can be restored in place from its own snapshot", restored_in_place },
	{ "memory can be written with itself, and with its snapshot", written_from_itself },
	{ "a snapshot outlives the compaction of memory", moved_pages },
	{ "a snapshot cannot be written", never_written },
	{ "a mapping of a snapshot ends where it ends", mapped_behind_the_end },
	{ "a file has one unfinished snapshot", only_one },
	{ "ids grow, and a freeze tells what it did", ids_grow },
	{ "arming counts pages that are writable, once", armed },
	{ "arming a frozen file changes nothing", arming_changes_nothing },
	{ "a commit gives everything back", committed },
	{ "a snapshot can be cancelled from both sides", two_sides },
	{ "closing a snapshot cancels it", closed },
	{ "a snapshot lives as long as a descriptor or a mapping", still_referenced },
	{ "the death of its reader ends a snapshot", reader_dies },
	{ "a snapshot ends once", ended_twice },
	{ "a snapshot needs nobody who has the file open", file_closed_first },
	{ "what the reader has need not be saved", done_ranges },
	{ "a read ends before what the reader has", done_and_read_across },
	{ "what the reader has is gone from its mapping", done_and_mapped },
	{ "the reader may say it has a page more than once", done_again },
	{ "poll tells and wakes when a snapshot is cancelled", poll_events },
	{ "poll tells and wakes when a snapshot is aborted", poll_abort },
	{ "malformed freezes are refused", wrong_freezes },
	{ "malformed ranges are refused", wrong_ranges },
	{ "malformed arguments are refused", wrong_arguments },
	{ "each ioctl has its kind of file", wrong_files },
	{ "a freeze that cannot return its snapshot leaves none", no_descriptor },
	{ "the ioctls are the same for 32-bit programs", program_of_32_bits },
	{ "another process freezes and reads, while this one writes", another_process },
};

int main(void)
{
	return tap_cases(cases, ARRAY_SIZE(cases));
}
