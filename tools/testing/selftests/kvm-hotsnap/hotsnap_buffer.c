// SPDX-License-Identifier: GPL-2.0-only
/*
 * The buffer of a snapshot: what is saved in it and for whom, and what happens when it is full.
 */
#define _GNU_SOURCE
#include "hotsnap_test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
	PAGES	= 64,
	ROOM	= 4,		/* pages, where the buffer is small */
	MS_LONG	= 100000,	/* longer than a case may take */
};

/* Pages 1, 2...; frozen. */
static int frozen(struct memory *m, u64 room, u32 policy, u32 wait_ms)
{
	memory_new(m, "file", PAGES);
	memory_fill(m, 1, PAGES);
	hs_buffer(m->fd, room * PAGE, policy, wait_ms);
	return hs_freeze(m->fd);
}

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/*
 * Counters.
 */
static struct hotsnap_status counted(const struct memory *m, const u64 *saved, const u64 *fresh)
{
	struct hotsnap_status s = hs_status(m->fd);
	unsigned int i;

	for (i = 0; i < HOTSNAP_NR_WRITERS; i++)
		TEST_ASSERT(s.saved[i] == saved[i] && s.fresh[i] == fresh[i],
			    "class %u: %llu saved and not %llu, %llu fresh and not %llu", i,
			    s.saved[i], (unsigned long long)saved[i], s.fresh[i],
			    (unsigned long long)fresh[i]);
	return s;
}

static void read_into(const struct memory *m, u64 page)
{
	int fd = memfd_create("source", 0);

	page_write(fd, 0, 99);
	TEST_ASSERT(pread(fd, m->map + page * PAGE, PAGE, 0) == PAGE, "read into the mapping");
	close(fd);
}

static void classes(void)
{
	u64 saved[HOTSNAP_NR_WRITERS] = { 0 }, fresh[HOTSNAP_NR_WRITERS] = { 0 };
	struct hotsnap_status s;
	struct memory m;
	int snapshot;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, PAGES / 2);
	snapshot = hs_freeze(m.fd);
	counted(&m, saved, fresh);
	m.map[0]++;
	m.map[1]++;
	m.map[5 * PAGE]++;
	saved[HOTSNAP_WRITER_DMA] = 2;
	counted(&m, saved, fresh);
	page_write(m.fd, 2, 9);
	page_write(m.fd, 2, 10);
	read_into(&m, 3);
	punch(m.fd, 4, 1);
	saved[HOTSNAP_WRITER_KERNEL] = 3;
	counted(&m, saved, fresh);
	/* A page that is saved already is not saved again, whoever writes. */
	page_write(m.fd, 0, 9);
	m.map[2 * PAGE]++;
	counted(&m, saved, fresh);
	m.map[(PAGES - 1) * PAGE]++;
	m.map[(PAGES - 2) * PAGE]++;
	page_write(m.fd, PAGES - 3, 9);
	fresh[HOTSNAP_WRITER_DMA] = 2;
	fresh[HOTSNAP_WRITER_KERNEL] = 1;
	s = counted(&m, saved, fresh);
	TEST_ASSERT(s.buffer_used == 5 * PAGE && s.buffer_peak == 5 * PAGE, "%llu, %llu bytes",
		    s.buffer_used, s.buffer_peak);
	hs_done(snapshot, 0, PAGES * PAGE);
	s = counted(&m, saved, fresh);
	TEST_ASSERT(!s.buffer_used && s.buffer_peak == 5 * PAGE, "%llu, %llu bytes",
		    s.buffer_used, s.buffer_peak);
}

static void copied_by_reader(void)
{
	u64 saved[HOTSNAP_NR_WRITERS] = { 0 }, fresh[HOTSNAP_NR_WRITERS] = { 0 };
	struct memory m;
	int snapshot = frozen(&m, PAGES, HOTSNAP_POLICY_ABORT, 0);
	u8 *map = snapshot_map(snapshot, PAGES, MAP_SHARED);

	expect_pages(snapshot, 1, PAGES);
	counted(&m, saved, fresh);
	TEST_ASSERT(page_holds(map + 7 * PAGE, 8), "the snapshot's mapping");
	saved[HOTSNAP_WRITER_COPY] = 1;
	counted(&m, saved, fresh);
	m.map[7 * PAGE]++;
	m.map[8 * PAGE]++;
	saved[HOTSNAP_WRITER_DMA] = 1;
	counted(&m, saved, fresh);
	TEST_ASSERT(page_holds(map + 8 * PAGE, 9), "the snapshot's mapping");
	counted(&m, saved, fresh);
}

static void counted_anew(void)
{
	u64 none[HOTSNAP_NR_WRITERS] = { 0 };
	struct hotsnap_status s;
	struct memory m;
	int snapshot = frozen(&m, PAGES, HOTSNAP_POLICY_ABORT, 0);

	memory_fill(&m, 1001, 10);
	hs_commit(snapshot);
	TEST_ASSERT(hs_status(snapshot).saved[HOTSNAP_WRITER_DMA] == 10, "of what has ended");
	snapshot = hs_freeze(m.fd);
	s = counted(&m, none, none);
	TEST_ASSERT(!s.buffer_used && !s.buffer_peak && !s.waits, "the buffer");
}

/*
 * Its limit.
 */
static u64 limit_of(u64 limit)
{
	struct memory m;

	memory_new(&m, "file", PAGES);
	hs_buffer(m.fd, limit, HOTSNAP_POLICY_ABORT, 0);
	return hs_status(hs_freeze(m.fd)).buffer_limit;
}

static void limits(void)
{
	u64 limit;

	TEST_ASSERT(limit_of(0) == PAGES / 4 * PAGE, "the default");
	TEST_ASSERT(limit_of(7 * PAGE) == 7 * PAGE, "seven pages");
	limit = limit_of(7 * PAGE + 1);
	TEST_ASSERT(limit == 7 * PAGE || limit == 8 * PAGE, "%llu bytes",
		    (unsigned long long)limit);
}

static void limit_of_the_next(void)
{
	struct memory m;
	int snapshot = frozen(&m, 2 * ROOM, HOTSNAP_POLICY_ABORT, 0);

	hs_buffer(m.fd, ROOM * PAGE, HOTSNAP_POLICY_ABORT, 0);
	memory_fill(&m, 1001, 2 * ROOM);
	expect_pages(snapshot, 1, PAGES);
	hs_commit(snapshot);
	snapshot = hs_freeze(m.fd);
	TEST_ASSERT(hs_status(snapshot).buffer_limit == ROOM * PAGE, "the new limit");
}

static void expect_aborted(const struct memory *m, int snapshot)
{
	struct pollfd p = { .fd = snapshot };
	u8 buffer[PAGE];

	TEST_ASSERT(hs_status(snapshot).state == HOTSNAP_STATE_ABORTED, "state %u",
		    hs_status(snapshot).state);
	TEST_ASSERT(hs_status(m->fd).state == HOTSNAP_STATE_ABORTED, "state %u of the file",
		    hs_status(m->fd).state);
	TEST_ASSERT(!hs_status(m->fd).buffer_used, "%llu bytes in the buffer",
		    hs_status(m->fd).buffer_used);
	/* Those that were never written as well: no part of it is an instant. */
	REFUSED(EIO, __page_read(snapshot, 0, buffer));
	REFUSED(EIO, __page_read(snapshot, PAGES - 1, buffer));
	TEST_ASSERT(poll(&p, 1, 0) == 1 && p.revents & POLLERR, "poll");
	TEST_ASSERT(__hs_commit(snapshot), "committed, though aborted");
}

static void full(void)
{
	struct memory m;
	int snapshot = frozen(&m, ROOM, HOTSNAP_POLICY_ABORT, 0);
	u8 *map = snapshot_map(snapshot, PAGES, MAP_SHARED);

	memory_fill(&m, 1001, ROOM);
	memory_fill(&m, 2001, ROOM);
	expect_pages(snapshot, 1, PAGES);
	page_fill(m.map + ROOM * PAGE, 2001 + ROOM);
	expect_aborted(&m, snapshot);
	TEST_ASSERT(read_signal(map) == SIGBUS && read_signal(map + 40 * PAGE) == SIGBUS,
		    "its mapping");
	expect_pages(m.fd, 2001, ROOM + 1);
	memory_fill(&m, 3001, PAGES);
	expect_pages(m.fd, 3001, PAGES);
	close(snapshot);
	hs_buffer(m.fd, PAGES * PAGE, HOTSNAP_POLICY_ABORT, 0);
	snapshot = hs_freeze(m.fd);
	memory_fill(&m, 4001, PAGES);
	expect_pages(snapshot, 3001, PAGES);
}

/* As with a store, whoever finds the buffer full goes on. */
static void full_for_write(struct memory *m)
{
	page_write(m->fd, ROOM, 9);
	TEST_ASSERT(page_reads(m->fd, ROOM, 9), "a write is lost");
}

static void full_for_read(struct memory *m)
{
	read_into(m, ROOM);
	TEST_ASSERT(page_reads(m->fd, ROOM, 99), "a read into the mapping is lost");
}

static void full_for_hole(struct memory *m)
{
	punch(m->fd, ROOM, 1);
	TEST_ASSERT(page_reads(m->fd, ROOM, 0), "a hole is lost");
}

static void full_for_truncate(struct memory *m)
{
	resize(m->fd, ROOM * PAGE);
	resize(m->fd, PAGES * PAGE);
	TEST_ASSERT(page_reads(m->fd, ROOM, 0), "a truncate is lost");
}

static void full_for_all(void)
{
	static void (* const write[])(struct memory *m) = {
		full_for_write, full_for_read, full_for_hole, full_for_truncate,
	};
	struct memory m;
	unsigned int i;
	int snapshot;

	for (i = 0; i < ARRAY_SIZE(write); i++) {
		snapshot = frozen(&m, ROOM, HOTSNAP_POLICY_ABORT, 0);
		memory_fill(&m, 1001, ROOM);
		write[i](&m);
		expect_aborted(&m, snapshot);
		expect_pages(m.fd, 1001, ROOM);
		close(snapshot);
	}
}

static void aborted_and_open(void)
{
	struct memory m;
	int aborted = frozen(&m, ROOM, HOTSNAP_POLICY_ABORT, 0), snapshot;
	u8 buffer[PAGE];

	memory_fill(&m, 1001, PAGES);
	snapshot = hs_freeze(m.fd);
	expect_pages(snapshot, 1001, PAGES);
	REFUSED(EIO, __page_read(aborted, 0, buffer));
	close(aborted);
	expect_pages(snapshot, 1001, PAGES);
	hs_commit(snapshot);
}

static void room_by_done(void)
{
	struct memory m;
	int snapshot = frozen(&m, ROOM, HOTSNAP_POLICY_ABORT, 0);
	u64 i;

	for (i = 0; i < PAGES; i++) {
		page_fill(m.map + i * PAGE, 1001 + i);
		TEST_ASSERT(page_reads(snapshot, i, i + 1), "page %llu", (unsigned long long)i);
		hs_done(snapshot, i * PAGE, PAGE);
	}
	TEST_ASSERT(hs_status(m.fd).buffer_peak == PAGE, "peak %llu",
		    hs_status(m.fd).buffer_peak);
	hs_commit(snapshot);
}

static void empty_pages_take_none(void)
{
	struct memory m;
	int snapshot;

	memory_new(&m, "file", PAGES);
	memory_fill(&m, 1, ROOM);
	hs_buffer(m.fd, ROOM * PAGE, HOTSNAP_POLICY_ABORT, 0);
	snapshot = hs_freeze(m.fd);
	memory_fill(&m, 1001, PAGES);
	expect_pages(snapshot, 1, ROOM);
	TEST_ASSERT(page_reads(snapshot, PAGES - 1, 0), "an empty page");
}

/*
 * Writers that wait.
 */
struct writer {
	pthread_t thread;
	struct memory *m;
	u64 page, name;
	bool by_write;
	atomic_bool done;
};

static void *write_page(void *arg)
{
	struct writer *w = arg;

	if (w->by_write)
		page_write(w->m->fd, w->page, w->name);
	else
		page_fill(w->m->map + w->page * PAGE, w->name);
	w->done = true;
	return NULL;
}

static void writer_start(struct writer *w, struct memory *m, u64 page, u64 name)
{
	w->m = m;
	w->page = page;
	w->name = name;
	w->done = false;
	TEST_ASSERT(!pthread_create(&w->thread, NULL, write_page, w), "no thread");
}

static void writer_finish(struct writer *w)
{
	WAIT_UNTIL(w->done);
	pthread_join(w->thread, NULL);
	TEST_ASSERT(page_reads(w->m->fd, w->page, w->name), "a write is lost");
}

/* Frozen, with a full buffer and a writer that waits for room on page ROOM. */
static int waiting(struct memory *m, struct writer *w, u32 wait_ms)
{
	int snapshot = frozen(m, ROOM, HOTSNAP_POLICY_WAIT, wait_ms);

	memory_fill(m, 1001, ROOM);
	TEST_ASSERT(!hs_status(m->fd).waits, "somebody waits");
	writer_start(w, m, ROOM, 77);
	WAIT_UNTIL(hs_status(m->fd).waits);
	sleep_ms(50);
	TEST_ASSERT(!w->done, "the writer did not wait");
	return snapshot;
}

static void wait_for_done(void)
{
	struct writer w = { .by_write = false };
	struct memory m;
	int snapshot = waiting(&m, &w, MS_LONG);

	expect_pages(snapshot, 1, PAGES);
	hs_done(snapshot, 0, PAGE);
	writer_finish(&w);
	TEST_ASSERT(page_reads(snapshot, ROOM, ROOM + 1), "the page it waited for");
	TEST_ASSERT(hs_status(m.fd).state == HOTSNAP_STATE_FROZEN, "state");
	hs_commit(snapshot);
}

static void write_waits(void)
{
	struct writer w = { .by_write = true };
	struct memory m;
	int snapshot = waiting(&m, &w, MS_LONG);

	expect_pages(snapshot, 1, PAGES);
	hs_done(snapshot, 0, PAGE);
	writer_finish(&w);
	TEST_ASSERT(page_reads(snapshot, ROOM, ROOM + 1), "the page it waited for");
}

/* The reader has that very page: nothing needs to be saved. */
static void wait_for_done_of_it(void)
{
	struct writer w = { .by_write = false };
	struct memory m;
	int snapshot = waiting(&m, &w, MS_LONG);

	hs_done(snapshot, ROOM * PAGE, PAGE);
	writer_finish(&w);
	TEST_ASSERT(hs_status(m.fd).buffer_used == ROOM * PAGE, "%llu bytes",
		    hs_status(m.fd).buffer_used);
	TEST_ASSERT(page_reads(snapshot, 0, 1), "another page");
}

static void waited_too_long(void)
{
	struct writer w = { .by_write = false };
	struct memory m;
	int snapshot = waiting(&m, &w, 300);

	writer_finish(&w);
	expect_aborted(&m, snapshot);
	memory_fill(&m, 2001, PAGES);
	expect_pages(m.fd, 2001, PAGES);
}

static void wait_takes_its_time(void)
{
	struct memory m;
	u64 start;
	int snapshot = frozen(&m, ROOM, HOTSNAP_POLICY_WAIT, 400);

	start = now_ms();
	memory_fill(&m, 1001, ROOM + 1);
	TEST_ASSERT(now_ms() - start >= 300, "it took %llu ms",
		    (unsigned long long)(now_ms() - start));
	expect_aborted(&m, snapshot);
}

static void wait_ended_by(int (*end)(int snapshot), u32 wait_ms)
{
	struct writer w = { .by_write = false };
	struct memory m;
	int snapshot = waiting(&m, &w, wait_ms);

	TEST_ASSERT(!end(snapshot), "the end");
	writer_finish(&w);
	memory_fill(&m, 2001, PAGES);
	expect_pages(m.fd, 2001, PAGES);
	TEST_ASSERT(!hs_status(m.fd).buffer_used, "bytes in the buffer");
}

static void wait_for_the_end(void)
{
	wait_ended_by(__hs_cancel, MS_LONG);
	wait_ended_by(__hs_commit, MS_LONG);
	wait_ended_by(close, MS_LONG);
	wait_ended_by(__hs_cancel, 0);
}

static int store_and_wait(void *arg)
{
	struct memory *m = arg;

	memory_fill(m, 1001, PAGES);
	return 0;
}

static void waiter_killed(void)
{
	struct memory m;
	int snapshot = frozen(&m, ROOM, HOTSNAP_POLICY_WAIT, 0);
	pid_t pid;

	pid = process_start(store_and_wait, &m);
	WAIT_UNTIL(hs_status(m.fd).waits);
	kill(pid, SIGKILL);
	TEST_ASSERT(process_end(pid) == -SIGKILL, "not killed");
	expect_pages(snapshot, 1, PAGES);
	expect_pages(m.fd, 1001, ROOM);
	TEST_ASSERT(page_reads(m.fd, ROOM, ROOM + 1), "the page it waited for");
	hs_commit(snapshot);
}

/* A guest whose vCPU waits for the reader must not stop the rest of its process as well. */
static void others_go_on(void)
{
	struct writer w = { .by_write = false };
	struct memory m;
	int snapshot = waiting(&m, &w, MS_LONG);
	u64 start = now_ms();
	u8 *map;

	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map[0] = 1;
	munmap(map, PAGE);
	map = memory_map(&m);
	TEST_ASSERT(page_holds(map + ROOM * PAGE, ROOM + 1), "the page that it waits for");
	page_fill(map, 5);
	TEST_ASSERT(page_reads(m.fd, ROOM, ROOM + 1), "the same, read");
	map = snapshot_map(snapshot, PAGES, MAP_SHARED);
	TEST_ASSERT(page_holds(map, 1), "the snapshot's mapping");
	page_write(m.fd, 1, 6);
	TEST_ASSERT(!w.done && now_ms() - start < 20000, "others waited too");
	hs_done(snapshot, 0, PAGES * PAGE);
	writer_finish(&w);
}

static void many_wait(void)
{
	struct writer w[8] = { 0 };
	struct memory m;
	int snapshot = frozen(&m, ROOM, HOTSNAP_POLICY_WAIT, MS_LONG);
	unsigned int i;

	memory_fill(&m, 1001, ROOM);
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		w[i].by_write = i == 3;
		writer_start(&w[i], &m, ROOM + i, 500 + i);
	}
	WAIT_UNTIL(hs_status(m.fd).waits >= ARRAY_SIZE(w));
	expect_pages(snapshot, 1, PAGES);
	hs_done(snapshot, 0, 2 * PAGE);
	sleep_ms(50);
	TEST_ASSERT(hs_status(m.fd).buffer_peak == ROOM * PAGE, "peak %llu",
		    hs_status(m.fd).buffer_peak);
	hs_done(snapshot, 0, PAGES * PAGE);
	for (i = 0; i < ARRAY_SIZE(w); i++)
		writer_finish(&w[i]);
	hs_commit(snapshot);
}

struct storm {
	struct memory *m;
	atomic_bool stop;
	bool from_the_end;
};

static void *write_all(void *arg)
{
	struct storm *s = arg;
	u64 page = 0;

	while (!s->stop) {
		page_fill(s->m->map + (s->from_the_end ? PAGES - 1 - page : page) * PAGE, 5000);
		page = (page + 1) % PAGES;
	}
	return NULL;
}

static void drained(void)
{
	struct memory m;
	struct storm s[2] = { { .m = &m }, { .m = &m, .from_the_end = true } };
	int snapshot = frozen(&m, ROOM, HOTSNAP_POLICY_WAIT, MS_LONG);
	pthread_t thread[2];
	u64 i;

	for (i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, write_all, &s[i]);
	WAIT_UNTIL(hs_status(m.fd).waits);
	for (i = 0; i < PAGES; i++) {
		TEST_ASSERT(page_reads(snapshot, i, i + 1), "page %llu", (unsigned long long)i);
		hs_done(snapshot, i * PAGE, PAGE);
	}
	hs_commit(snapshot);
	for (i = 0; i < 2; i++) {
		s[i].stop = true;
		pthread_join(thread[i], NULL);
	}
	TEST_ASSERT(hs_status(m.fd).state == HOTSNAP_STATE_COMMITTED, "state");
}

static const struct tap_case cases[] = {
	{ "saved and fresh pages are counted by writer", classes },
	{ "a page that the reader's mapping needs is saved for it", copied_by_reader },
	{ "each snapshot counts anew", counted_anew },
	{ "the limit is in pages, a quarter of the file if not given", limits },
	{ "a new limit is for the next freeze", limit_of_the_next },
	{ "a full buffer ends the snapshot, and no write fails", full },
	{ "nor does any other way to write", full_for_all },
	{ "an aborted snapshot that is still open is not in the way", aborted_and_open },
	{ "what the reader has makes room", room_by_done },
	{ "pages that were empty take no room", empty_pages_take_none },
	{ "a store waits for room, and then goes on", wait_for_done },
	{ "write() waits for room, and then goes on", write_waits },
	{ "a writer waits no longer than for its own page", wait_for_done_of_it },
	{ "who waits too long aborts the snapshot and goes on", waited_too_long },
	{ "who waits does so for as long as was said", wait_takes_its_time },
	{ "nobody waits for a snapshot that has ended", wait_for_the_end },
	{ "who waits can be killed", waiter_killed },
	{ "who waits does not hold up the threads beside it", others_go_on },
	{ "many writers wait, and all go on", many_wait },
	{ "a small buffer is enough, with writers that wait", drained },
};

int main(void)
{
	return tap_cases(cases, ARRAY_SIZE(cases));
}
