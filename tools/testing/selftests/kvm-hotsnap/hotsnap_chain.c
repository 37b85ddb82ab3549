// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots that build on others: increments, memory that comes from an image, and forks.
 */
#define _GNU_SOURCE
#include "hotsnap_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGES	= 64,
	CHAIN	= 20,
};

static u64 committed(int snapshot)
{
	u64 id = hs_id(snapshot);

	hs_commit(snapshot);
	close(snapshot);
	return id;
}

/* Pages 1, 2..., in a full snapshot that is committed; returns its id. */
static u64 based(struct memory *m)
{
	memory_new(m, "file", PAGES);
	memory_fill(m, 1, PAGES);
	return committed(hs_freeze(m->fd));
}

/* Just these pages are data. */
static void expect_changed(int snapshot, const unsigned int *page, unsigned int nr)
{
	bool data[PAGES], want[PAGES] = { false };
	unsigned int i;

	for (i = 0; i < nr; i++)
		want[page[i]] = true;
	snapshot_data(snapshot, data, PAGES);
	for (i = 0; i < PAGES; i++)
		TEST_ASSERT(data[i] == want[i], "page %u is %s", i,
			    data[i] ? "data" : "not data");
}

#define EXPECT_CHANGED(snapshot, ...)						\
	do {									\
		static const unsigned int changed__[] = { __VA_ARGS__ };	\
										\
		expect_changed(snapshot, changed__, ARRAY_SIZE(changed__));	\
	} while (0)

/*
 * Increments.
 */
static void changes(void)
{
	struct memory m;
	u64 base = based(&m);
	int snapshot;

	TEST_ASSERT(hs_status(m.fd).base == base, "base %llu", hs_status(m.fd).base);
	page_fill(m.map + 3 * PAGE, 33);
	/* What is written is a change, even if it is what was there. */
	*(volatile u8 *)(m.map + 7 * PAGE) = m.map[7 * PAGE];
	page_write(m.fd, 20, 55);
	TEST_ASSERT(page_holds(m.map + 30 * PAGE, 31), "read only");
	snapshot = hs_freeze_since(m.fd, base);
	m.map[40 * PAGE]++;
	EXPECT_CHANGED(snapshot, 3, 7, 20);
	TEST_ASSERT(page_reads(snapshot, 3, 33) && page_reads(snapshot, 20, 55), "content");
	hs_commit(snapshot);
}

static void unchanged(void)
{
	struct memory m;
	u64 base = based(&m);
	int snapshot = hs_freeze_since(m.fd, base);

	EXPECT_CHANGED(snapshot);
	expect_pages(snapshot, 1, PAGES);
	base = committed(snapshot);
	snapshot = hs_freeze_since(m.fd, base);
	EXPECT_CHANGED(snapshot);
	expect_pages(snapshot, 1, PAGES);
}

static void read_anywhere(void)
{
	struct memory m;
	u64 base = based(&m);
	int snapshot;
	u8 *map;

	page_fill(m.map + 3 * PAGE, 33);
	snapshot = hs_freeze_since(m.fd, base);
	map = snapshot_map(snapshot, PAGES, MAP_SHARED);
	page_fill(m.map + 3 * PAGE, 34);
	page_fill(m.map + 10 * PAGE, 35);
	punch(m.fd, 11, 2);
	TEST_ASSERT(page_reads(snapshot, 3, 33) && page_reads(snapshot, 10, 11) &&
		    page_reads(snapshot, 12, 13) && page_reads(snapshot, 50, 51), "read");
	TEST_ASSERT(page_holds(map + 3 * PAGE, 33) && page_holds(map + 10 * PAGE, 11) &&
		    page_holds(map + 12 * PAGE, 13) && page_holds(map + 50 * PAGE, 51), "mapped");
}

/* What is written between the freeze and the commit is in the next increment. */
static void changed_meanwhile(void)
{
	struct memory m;
	u64 base = based(&m);
	int snapshot;

	m.map[PAGE]++;
	snapshot = hs_freeze_since(m.fd, base);
	page_fill(m.map + 1 * PAGE, 101);
	page_fill(m.map + 2 * PAGE, 102);
	hs_done(snapshot, 0, 20 * PAGE);
	page_fill(m.map + 3 * PAGE, 103);
	punch(m.fd, 4, 1);
	hs_done(snapshot, 0, PAGES * PAGE);
	page_write(m.fd, 30, 130);
	base = committed(snapshot);
	page_fill(m.map + 5 * PAGE, 105);
	snapshot = hs_freeze_since(m.fd, base);
	EXPECT_CHANGED(snapshot, 1, 2, 3, 4, 5, 30);
	TEST_ASSERT(page_reads(snapshot, 1, 101) && page_reads(snapshot, 2, 102) &&
		    page_reads(snapshot, 3, 103) && page_reads(snapshot, 4, 0) &&
		    page_reads(snapshot, 5, 105) && page_reads(snapshot, 30, 130), "content");
}

static void holes_are_changes(void)
{
	struct memory m;
	u64 base;
	int snapshot;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES / 2);
	base = committed(hs_freeze(m.fd));
	punch(m.fd, 5, 3);
	TEST_ASSERT(!madvise(m.map + 10 * PAGE, PAGE, MADV_REMOVE), "madvise");
	/* Punched and written again */
	punch(m.fd, 20, 1);
	page_fill(m.map + 20 * PAGE, 20);
	/* There was nothing. */
	punch(m.fd, PAGES - 4, 2);
	snapshot = hs_freeze_since(m.fd, base);
	EXPECT_CHANGED(snapshot, 5, 6, 7, 10, 20);
	TEST_ASSERT(page_reads(snapshot, 6, 0) && page_reads(snapshot, 10, 0) &&
		    page_reads(snapshot, 20, 20), "content");
}

static void cuts_are_changes(void)
{
	struct memory m;
	u64 base = based(&m);
	bool data[PAGES];
	unsigned int i;
	int snapshot;

	resize(m.fd, 10 * PAGE + 100);
	resize(m.fd, PAGES * PAGE);
	page_fill(m.map + 40 * PAGE, 40);
	snapshot = hs_freeze_since(m.fd, base);
	snapshot_data(snapshot, data, PAGES);
	for (i = 0; i < PAGES; i++)
		TEST_ASSERT(data[i] == (i >= 10), "page %u", i);
	expect_pages(snapshot, 1, 10);
	TEST_ASSERT(page_reads(snapshot, 11, 0) && page_reads(snapshot, 40, 40), "content");
}

static void growth(void)
{
	struct memory m;
	u64 base = based(&m);
	bool data[2 * PAGES];
	unsigned int i;
	int snapshot;

	resize(m.fd, 2 * PAGES * PAGE);
	page_write(m.fd, PAGES + 5, 7);
	snapshot = hs_freeze_since(m.fd, base);
	snapshot_data(snapshot, data, 2 * PAGES);
	for (i = 0; i < 2 * PAGES; i++)
		TEST_ASSERT(data[i] == (i == PAGES + 5), "page %u", i);
	TEST_ASSERT(lseek(snapshot, 0, SEEK_END) == 2 * PAGES * PAGE, "size");
}

/* Arming takes the right to write, and not the memory of a write. */
static void arming_keeps_changes(void)
{
	struct memory m;
	u64 base = based(&m);
	int snapshot;

	m.map[3 * PAGE]++;
	TEST_ASSERT(hs_arm(m.fd, 0, PAGES * PAGE) == 1, "armed");
	m.map[4 * PAGE]++;
	hs_arm(m.fd, 0, PAGES * PAGE);
	snapshot = hs_freeze_since(m.fd, base);
	hs_arm(m.fd, 0, PAGES * PAGE);
	m.map[5 * PAGE]++;
	EXPECT_CHANGED(snapshot, 3, 4);
	base = committed(snapshot);
	hs_arm(m.fd, 0, PAGES * PAGE);
	snapshot = hs_freeze_since(m.fd, base);
	EXPECT_CHANGED(snapshot, 5);
}

static void cancelled_is_no_base(void)
{
	struct memory m;
	u64 base = based(&m);
	int snapshot;

	page_fill(m.map + 3 * PAGE, 33);
	snapshot = hs_freeze_since(m.fd, base);
	page_fill(m.map + 4 * PAGE, 44);
	hs_cancel(snapshot);
	page_fill(m.map + 5 * PAGE, 55);
	close(hs_freeze_since(m.fd, base));
	page_fill(m.map + 6 * PAGE, 66);
	/* A full one that is cancelled is no base either. */
	close(hs_freeze(m.fd));
	TEST_ASSERT(hs_status(m.fd).base == base, "base %llu", hs_status(m.fd).base);
	snapshot = hs_freeze_since(m.fd, base);
	EXPECT_CHANGED(snapshot, 3, 4, 5, 6);
	TEST_ASSERT(page_reads(snapshot, 3, 33) && page_reads(snapshot, 4, 44) &&
		    page_reads(snapshot, 5, 55) && page_reads(snapshot, 6, 66), "content");
	committed(snapshot);
}

static void aborted_is_no_base(void)
{
	struct memory m;
	u64 base = based(&m);
	int snapshot;

	page_fill(m.map + 3 * PAGE, 33);
	hs_buffer(m.fd, PAGE, HOTSNAP_POLICY_ABORT, 0);
	snapshot = hs_freeze_since(m.fd, base);
	page_fill(m.map + 4 * PAGE, 44);
	page_fill(m.map + 5 * PAGE, 55);
	page_fill(m.map + 6 * PAGE, 66);
	TEST_ASSERT(hs_status(snapshot).state == HOTSNAP_STATE_ABORTED, "not aborted");
	close(snapshot);
	snapshot = hs_freeze_since(m.fd, base);
	EXPECT_CHANGED(snapshot, 3, 4, 5, 6);
}

static void stale(void)
{
	struct hotsnap_freeze freeze = { .flags = HOTSNAP_FREEZE_INCREMENTAL };
	struct memory m, other;
	u64 base, foreign;

	memory_new(&m, "file", PAGES);
	REFUSED(ESTALE, __hs_freeze(m.fd, &freeze));
	freeze.base = 1;
	REFUSED(ESTALE, __hs_freeze(m.fd, &freeze));
	freeze.base = committed(hs_freeze(m.fd));
	base = committed(hs_freeze_since(m.fd, freeze.base));
	REFUSED(ESTALE, __hs_freeze(m.fd, &freeze));
	freeze.base = base + 1;
	REFUSED(ESTALE, __hs_freeze(m.fd, &freeze));
	memory_new(&other, "other", PAGES);
	foreign = committed(hs_freeze(other.fd));
	freeze.base = foreign;
	if (foreign != base)
		REFUSED(ESTALE, __hs_freeze(m.fd, &freeze));
	close(hs_freeze_since(m.fd, base));
}

/* The base belongs to the file, not to whoever had it open. */
static void base_outlives_users(void)
{
	struct memory m;
	u64 base = based(&m);
	int snapshot;

	m.map[3 * PAGE]++;
	munmap(m.map, PAGES * PAGE);
	close(m.fd);
	m.fd = open(m.path, O_RDWR);
	m.map = memory_map(&m);
	m.map[4 * PAGE]++;
	snapshot = hs_freeze_since(m.fd, base);
	EXPECT_CHANGED(snapshot, 3, 4);
}

static void random_changes(struct memory *m, struct rng *rng, u64 *names, u64 first)
{
	unsigned int i, page;

	for (i = 0; i < 6; i++) {
		page = rng_below(rng, PAGES);
		names[page] = rng_chance(rng, 80) ? first + i : 0;
		if (!names[page])
			punch(m->fd, page, 1);
		else if (rng_chance(rng, 70))
			page_fill(m->map + page * PAGE, names[page]);
		else
			page_write(m->fd, page, names[page]);
	}
}

/* Writes what changed over a copy of the image before. */
static void apply_increment(u8 *image, int snapshot)
{
	bool data[PAGES];
	unsigned int i;

	snapshot_data(snapshot, data, PAGES);
	for (i = 0; i < PAGES; i++)
		if (data[i])
			TEST_ASSERT(__page_read(snapshot, i, image + i * PAGE) == PAGE,
				    "page %u", i);
}

static void restore_and_check(const u8 *image, const u64 *names, unsigned int link)
{
	int fd = memfd_create("image", 0);
	struct memory m;
	unsigned int i;

	TEST_ASSERT(write(fd, image, PAGES * PAGE) == PAGES * PAGE, "image");
	memory_new(&m, "restored", PAGES);
	hs_source(m.fd, fd);
	close(fd);
	for (i = 0; i < PAGES; i++)
		TEST_ASSERT(page_holds(m.map + i * PAGE, names[i]), "link %u, page %u", link, i);
	munmap(m.map, PAGES * PAGE);
	close(m.fd);
}

static void chain(void)
{
	static u8 image[CHAIN][PAGES * PAGE];
	static u64 names[CHAIN][PAGES], now[PAGES];
	struct memory m;
	struct rng rng;
	unsigned int i;
	int snapshot;
	u64 base = 0;

	rng_init(&rng, test_seed("SEED"));
	memory_new(&m, "file", PAGES);
	for (i = 0; i < CHAIN; i++) {
		random_changes(&m, &rng, now, 2000 * i + 1000);
		snapshot = i ? hs_freeze_since(m.fd, base) : hs_freeze(m.fd);
		memcpy(names[i], now, sizeof(now));
		/* These are of the next link. */
		random_changes(&m, &rng, now, 2000 * i + 2000);
		if (i)
			memcpy(image[i], image[i - 1], sizeof(image[i]));
		apply_increment(image[i], snapshot);
		base = committed(snapshot);
	}
	for (i = 0; i < 2 * CHAIN; i++) {
		unsigned int link = i < CHAIN ? i : rng_below(&rng, CHAIN);

		restore_and_check(image[link], names[link], link);
	}
}

/*
 * Sources.
 */
static int image_file(u64 first, u64 nr)
{
	int fd = memfd_create("image", 0);
	u64 i;

	for (i = 0; i < nr; i++)
		page_write(fd, i, first + i);
	return fd;
}

static void sourced(struct memory *m, const char *name, int source)
{
	memory_new(m, name, PAGES);
	hs_source(m->fd, source);
	close(source);
}

static void from_image(void)
{
	struct memory m;
	int fd = image_file(1, PAGES);

	memory_new(&m, "file", PAGES);
	hs_source(m.fd, fd);
	TEST_ASSERT(!hs_status(m.fd).pages, "%llu pages were read at once",
		    hs_status(m.fd).pages);
	TEST_ASSERT(page_holds(m.map + 3 * PAGE, 4), "a page that is read");
	TEST_ASSERT(hs_status(m.fd).pages < PAGES, "all were read for one");
	page_fill(m.map + 4 * PAGE, 44);
	page_write(m.fd, 5, 55);
	m.map[7 * PAGE] ^= 1;
	m.map[7 * PAGE] ^= 1;
	TEST_ASSERT(page_reads(m.fd, 4, 44) && page_reads(m.fd, 5, 55) && page_reads(m.fd, 6, 7) &&
		    page_reads(m.fd, 7, 8), "pages that are written");
	expect_pages(fd, 1, PAGES);
	TEST_ASSERT(page_reads(m.fd, PAGES - 1, PAGES), "the last page");
}

static void partly_written(void)
{
	struct memory m;
	u8 was[PAGE], is[PAGE];

	sourced(&m, "file", image_file(1, PAGES));
	page_fill(was, 9);
	memcpy(was + 100, "partly", 6);
	TEST_ASSERT(pwrite(m.fd, "partly", 6, 8 * PAGE + 100) == 6, "write");
	TEST_ASSERT(__page_read(m.fd, 8, is) == PAGE && !memcmp(was, is, PAGE), "its page");
	TEST_ASSERT(!fallocate(m.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * PAGE + 8,
			       8), "punch");
	page_fill(was, 11);
	memset(was + 8, 0, 8);
	TEST_ASSERT(__page_read(m.fd, 10, is) == PAGE && !memcmp(was, is, PAGE),
		    "a page with a hole");
}

static void short_image(void)
{
	struct memory m;
	int fd = image_file(1, 10);
	u8 was[PAGE] = "the end", is[PAGE];

	TEST_ASSERT(pwrite(fd, "the end", 7, 10 * PAGE) == 7, "image");
	sourced(&m, "file", fd);
	expect_pages(m.fd, 1, 10);
	TEST_ASSERT(__page_read(m.fd, 10, is) == PAGE && !memcmp(was, is, PAGE), "its last page");
	TEST_ASSERT(page_reads(m.fd, 11, 0) && page_holds(m.map + 50 * PAGE, 0), "behind it");
	page_fill(m.map + 50 * PAGE, 5);
	TEST_ASSERT(page_reads(m.fd, 50, 5), "behind it, written");
}

static void holes_stay(void)
{
	struct memory m;

	sourced(&m, "file", image_file(1, PAGES));
	punch(m.fd, 5, 4);
	TEST_ASSERT(page_reads(m.fd, 4, 5) && page_reads(m.fd, 9, 10), "the neighbours");
	TEST_ASSERT(page_reads(m.fd, 5, 0) && page_holds(m.map + 6 * PAGE, 0), "a hole");
	m.map[7 * PAGE + 10] = 1;
	TEST_ASSERT(!m.map[7 * PAGE + 11], "a hole that is written");
	punch(m.fd, 4, 1);
	TEST_ASSERT(page_reads(m.fd, 4, 0), "a hole where a page was");
	resize(m.fd, 20 * PAGE);
	resize(m.fd, PAGES * PAGE);
	TEST_ASSERT(page_reads(m.fd, 19, 20), "before the cut");
	TEST_ASSERT(page_reads(m.fd, 20, 0) && page_holds(m.map + 40 * PAGE, 0),
		    "what was cut off comes back from the source");
}

static void frozen_before_it_came(void)
{
	struct memory m;
	bool data[PAGES];
	int snapshot;
	unsigned int i;
	u8 *map;

	sourced(&m, "file", image_file(1, PAGES));
	TEST_ASSERT(page_holds(m.map + 3 * PAGE, 4), "a page that is read");
	punch(m.fd, 9, 1);
	snapshot = hs_freeze(m.fd);
	map = snapshot_map(snapshot, PAGES, MAP_SHARED);
	page_fill(m.map + 5 * PAGE, 55);
	page_write(m.fd, 6, 66);
	punch(m.fd, 7, 1);
	resize(m.fd, 60 * PAGE);
	page_fill(m.map + 9 * PAGE, 99);
	snapshot_data(snapshot, data, PAGES);
	for (i = 0; i < PAGES; i++) {
		u64 name = i == 9 ? 0 : i + 1;

		TEST_ASSERT(page_reads(snapshot, i, name), "page %u, read", i);
		TEST_ASSERT(page_holds(map + i * PAGE, name), "page %u, mapped", i);
		TEST_ASSERT(data[i] || !name, "page %u is a hole", i);
	}
	hs_commit(snapshot);
	TEST_ASSERT(page_reads(m.fd, 5, 55) && page_reads(m.fd, 6, 66) && page_reads(m.fd, 7, 0) &&
		    page_reads(m.fd, 8, 9) && page_reads(m.fd, 9, 99), "the memory");
}

/* The first increment after a restore is against what was restored. */
static void increment_while_it_comes(void)
{
	struct memory m;
	int snapshot;
	u64 base;

	sourced(&m, "file", image_file(1, PAGES));
	TEST_ASSERT(page_holds(m.map + 3 * PAGE, 4), "a page that is read");
	base = committed(hs_freeze(m.fd));
	TEST_ASSERT(page_holds(m.map + 4 * PAGE, 5), "another");
	page_fill(m.map + 5 * PAGE, 55);
	punch(m.fd, 6, 1);
	snapshot = hs_freeze_since(m.fd, base);
	TEST_ASSERT(page_holds(m.map + 8 * PAGE, 9), "one more");
	EXPECT_CHANGED(snapshot, 5, 6);
	TEST_ASSERT(page_reads(snapshot, 5, 55) && page_reads(snapshot, 6, 0) &&
		    page_reads(snapshot, 7, 8), "content");
}

static void refused_sources(void)
{
	struct hotsnap_source s = { .fd = -1, .reserved = 1 };
	int fd = image_file(1, PAGES), write_only, pipes[2];
	struct memory m;

	memory_new(&m, "file", PAGES);
	REFUSED(EINVAL, sys(ioctl(m.fd, HOTSNAP_IOC_SOURCE, &s)));
	REFUSED(EBADF, __hs_source(m.fd, 999));
	TEST_ASSERT(!pipe(pipes) && __hs_source(m.fd, pipes[0]) == -EINVAL, "a pipe");
	TEST_ASSERT(__hs_source(m.fd, open(".", O_RDONLY)), "a folder");
	TEST_ASSERT(__hs_source(m.fd, m.fd), "itself");
	TEST_ASSERT(__hs_source(m.fd, hs_freeze(m.fd)), "its own snapshot");
	hs_cancel(m.fd);
	write_only = open(HOTSNAP_DIR "/image", O_WRONLY | O_CREAT, 0600);
	TEST_ASSERT(__hs_source(m.fd, write_only), "a file that cannot be read");
	m.map[3 * PAGE] = 1;
	REFUSED(EBUSY, __hs_source(m.fd, fd));
	TEST_ASSERT(page_reads(m.fd, 5, 0), "it was taken nevertheless");
	punch(m.fd, 0, PAGES);
	REFUSED(EBUSY, __hs_source(m.fd, fd));
	REFUSED(EBADF, __hs_source(m.fd, -1));
}

/*
 * Forks.
 */
static void fork_memory(struct memory *child, const char *name, const struct memory *parent)
{
	sourced(child, name, hs_freeze(parent->fd));
}

static void forked(void)
{
	struct memory parent, child;
	int snapshot;

	memory_new(&parent, "parent", PAGES);
	memory_fill(&parent, 1, PAGES);
	punch(parent.fd, 10, 1);
	fork_memory(&child, "child", &parent);
	memory_fill(&parent, 1001, PAGES);
	expect_pages(child.fd, 1, 10);
	TEST_ASSERT(page_reads(child.fd, 10, 0), "a hole");
	page_fill(child.map + 20 * PAGE, 2020);
	page_write(child.fd, 21, 2021);
	TEST_ASSERT(page_holds(child.map + 22 * PAGE, 23), "a page from the snapshot");
	TEST_ASSERT(page_reads(child.fd, 20, 2020) && page_reads(child.fd, 21, 2021), "the child");
	expect_pages(parent.fd, 1001, PAGES);
	snapshot = hs_freeze(child.fd);
	page_fill(child.map + 30 * PAGE, 2030);
	TEST_ASSERT(page_reads(snapshot, 20, 2020) && page_reads(snapshot, 30, 31) &&
		    page_reads(snapshot, 63, 64), "a snapshot of the child");
}

/* The parent's snapshot is needed until the child is gone. */
static void fork_ends(void)
{
	struct hotsnap_freeze freeze = { 0 };
	struct memory parent, child;

	memory_new(&parent, "parent", PAGES);
	memory_fill(&parent, 1, PAGES);
	fork_memory(&child, "child", &parent);
	REFUSED(EBUSY, __hs_freeze(parent.fd, &freeze));
	munmap(child.map, PAGES * PAGE);
	close(child.fd);
	REFUSED(EBUSY, __hs_freeze(parent.fd, &freeze));
	TEST_ASSERT(!unlink(child.path), "unlink");
	WAIT_UNTIL(hs_status(parent.fd).state != HOTSNAP_STATE_FROZEN);
	close(hs_freeze(parent.fd));
}

static void fork_of_a_fork(void)
{
	struct memory a, b, c;

	memory_new(&a, "a", PAGES);
	memory_fill(&a, 1, PAGES);
	fork_memory(&b, "b", &a);
	page_fill(b.map + 5 * PAGE, 55);
	fork_memory(&c, "c", &b);
	memory_fill(&a, 1001, PAGES);
	memory_fill(&b, 2001, 20);
	page_fill(c.map + 6 * PAGE, 66);
	expect_pages(c.fd, 1, 5);
	TEST_ASSERT(page_reads(c.fd, 5, 55) && page_reads(c.fd, 6, 66) && page_reads(c.fd, 7, 8) &&
		    page_holds(c.map + 40 * PAGE, 41), "the grandchild");
	TEST_ASSERT(page_reads(b.fd, 6, 2007) && page_reads(b.fd, 40, 41), "the child");
	expect_pages(a.fd, 1001, PAGES);
}

/* Better no memory than the wrong memory. */
static void fork_of_what_is_lost(void)
{
	struct memory parent, child;
	u8 buffer[PAGE];

	memory_new(&parent, "parent", PAGES);
	memory_fill(&parent, 1, PAGES);
	fork_memory(&child, "child", &parent);
	TEST_ASSERT(page_holds(child.map, 1), "a page that came in time");
	hs_cancel(parent.fd);
	memory_fill(&parent, 1001, PAGES);
	TEST_ASSERT(page_reads(child.fd, 0, 1), "a page that came in time");
	TEST_ASSERT(__page_read(child.fd, PAGES - 1, buffer) < 0, "a lost page can be read");
	TEST_ASSERT(read_signal(child.map + (PAGES - 2) * PAGE) == SIGBUS, "and mapped");
	TEST_ASSERT(pwrite(child.fd, "x", 1, (PAGES - 3) * PAGE) < 0, "and written in part");
}

struct copier {
	struct memory *m;
	atomic_bool stop;
};

static void *write_on(void *arg)
{
	struct copier *c = arg;
	u64 round;

	for (round = 1; !c->stop; round++)
		memory_fill(c->m, 10000 * round, PAGES);
	return NULL;
}

static void fork_under_load(void)
{
	struct memory parent, child;
	struct copier c = { .m = &parent };
	pthread_t thread;
	unsigned int i;

	memory_new(&parent, "parent", PAGES);
	memory_fill(&parent, 1, PAGES);
	fork_memory(&child, "child", &parent);
	pthread_create(&thread, NULL, write_on, &c);
	for (i = 0; i < PAGES; i++) {
		if (i % 2)
			TEST_ASSERT(page_reads(child.fd, i, i + 1), "page %u, read", i);
		else
			TEST_ASSERT(page_holds(child.map + i * PAGE, i + 1), "page %u", i);
		sleep_ms(1);
	}
	c.stop = true;
	pthread_join(thread, NULL);
}

static const struct tap_case cases[] = {
	{ "an increment's data are the pages that were written", changes },
	{ "what was not written is in no increment", unchanged },
	{ "all of an increment can be read", read_anywhere },
	{ "what is written during a snapshot is in the next increment", changed_meanwhile },
	{ "holes are changes", holes_are_changes },
	{ "what is cut off is a change", cuts_are_changes },
	{ "a file that grows gives an increment of its new size", growth },
	{ "arming loses no change", arming_keeps_changes },
	{ "a cancelled snapshot is no base, and its changes stay", cancelled_is_no_base },
	{ "an aborted snapshot is no base, and its changes stay", aborted_is_no_base },
	{ "only the last committed snapshot is a base", stale },
	{ "a base outlives those who have the file open", base_outlives_users },
	{ "any link of a long chain of increments can be restored", chain },
	{ "pages come from an image, when they are needed", from_image },
	{ "a page that is written in part has the rest from its image", partly_written },
	{ "behind a short image all is zeroes", short_image },
	{ "holes stay holes, whatever the image has there", holes_stay },
	{ "a snapshot has what is still to come from an image", frozen_before_it_came },
	{ "what comes from an image is no change", increment_while_it_comes },
	{ "sources that cannot be are refused", refused_sources },
	{ "a fork has its parent's memory of one instant", forked },
	{ "a parent's snapshot lives as long as its fork needs it", fork_ends },
	{ "a fork can be forked", fork_of_a_fork },
	{ "a fork of a snapshot that is lost gets errors", fork_of_what_is_lost },
	{ "a fork's memory comes while its parent writes", fork_under_load },
};

int main(void)
{
	return tap_cases(cases, ARRAY_SIZE(cases));
}
